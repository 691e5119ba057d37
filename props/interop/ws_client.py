# SPDX-License-Identifier: Apache-2.0
"""1,000 sealed requests of 256 B to 1 MiB to `twinwire serve --transport ws`, by python3-websockets; echoes compared.

Usage: ws_client.py PORT
"""
import asyncio, ctypes, ctypes.util, struct, os, sys, websockets
X=ctypes.CDLL(ctypes.util.find_library('xxhash') or 'libxxhash.so.0').XXH3_64bits
X.restype=ctypes.c_uint64; X.argtypes=[ctypes.c_char_p,ctypes.c_size_t]
def seal(b):
    b[16:32]=struct.pack('<QQ',X(bytes(b[256:]),len(b)-256),0); b[0:16]=struct.pack('<QQ',X(bytes(b[16:256]),240),0)


async def main(port):
    async with websockets.connect(f"ws://127.0.0.1:{port}/", compression=None, max_size=None) as w:
        n=0
        for i in range(1000):
            size = 256 + (i*1049)%(1<<20) if i%10==0 else 256 + (i*37)%5000
            b = bytearray(os.urandom(size))
            b[48:52], b[52:56], b[60] = struct.pack("<I", size), bytes(4), 5
            b[168:176] = struct.pack("<Q", i)
            seal(b)
            await w.send(bytes(b)); r = await asyncio.wait_for(w.recv(), 10)
            n += len(r)==size and (r==bytes(b))
        print("equal", n)
        p = bytearray(256)
        p[48:52], p[60] = struct.pack("<I", 256), 3
        seal(p)
        await w.send(bytes(p))
        r = await asyncio.wait_for(w.recv(), 10)
        print("pong frame command", r[60])
        pong = await w.ping(); await asyncio.wait_for(pong, 5); print("pong")
    print("closed", w.close_code)
asyncio.run(main(int(sys.argv[1])))
