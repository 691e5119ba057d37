# SPDX-License-Identifier: Apache-2.0
"""twinwire's frames as `serve` and `load` send them (cli/load_protocol.h), written anew for peers in Python."""
import ctypes
import ctypes.util
import random
import struct

HEADER = 256
PING, PONG, REQUEST = 3, 4, 5

_xxh3 = ctypes.CDLL(ctypes.util.find_library("xxhash") or "libxxhash.so.0").XXH3_64bits
_xxh3.restype = ctypes.c_uint64
_xxh3.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def _sum(data):
    return struct.pack("<QQ", _xxh3(bytes(data), len(data)), 0)


def _seal(frame):
    frame[16:32] = _sum(frame[HEADER:])
    frame[0:16] = _sum(frame[16:HEADER])
    return bytes(frame)


def is_whole(frame):
    return (len(frame) >= HEADER and struct.unpack_from("<I", frame, 48)[0] == len(frame)
            and frame[16:32] == _sum(frame[HEADER:]) and frame[0:16] == _sum(frame[16:HEADER]))


def _frame(command, size):
    frame = bytearray(size)
    struct.pack_into("<I", frame, 48, size)
    frame[60] = command
    return frame


def request(number, size):
    frame = _frame(REQUEST, size)
    struct.pack_into("<Q", frame, 168, number)
    frame[HEADER:] = random.Random(number).randbytes(size - HEADER)
    return _seal(frame)


def ping():
    return _seal(_frame(PING, HEADER))


def totals(pong):
    if not is_whole(pong) or pong[60] != PONG:
        return None
    return struct.unpack_from("<QQ", pong, HEADER)
