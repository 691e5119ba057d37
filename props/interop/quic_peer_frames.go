// SPDX-License-Identifier: Apache-2.0

package main

// twinwire's frames as `serve` and `load` send them (cli/load_protocol.h), written anew for a peer in Go; frames.py is
// the same in Python.

// #cgo LDFLAGS: -lxxhash
// #include <xxhash.h>
import "C"

import (
	"encoding/binary"
	"math/rand"
	"unsafe"
)

const (
	headerSize  = 256
	pingClient  = 3
	pongClient  = 4
	requestSent = 5
)

func xxh3(data []byte) uint64 {
	if len(data) == 0 {
		return uint64(C.XXH3_64bits(nil, 0))
	}
	return uint64(C.XXH3_64bits(unsafe.Pointer(&data[0]), C.size_t(len(data))))
}

// A sum is 128 bits, of which XXH3 fills the lower 64.
func sumAt(frame []byte, offset int) (low, high uint64) {
	return binary.LittleEndian.Uint64(frame[offset:]), binary.LittleEndian.Uint64(frame[offset+8:])
}

func seal(frame []byte) []byte {
	binary.LittleEndian.PutUint64(frame[16:], xxh3(frame[headerSize:]))
	binary.LittleEndian.PutUint64(frame[0:], xxh3(frame[16:headerSize]))
	return frame
}

func isWhole(frame []byte) bool {
	if len(frame) < headerSize || binary.LittleEndian.Uint32(frame[48:]) != uint32(len(frame)) {
		return false
	}
	body, bodyHigh := sumAt(frame, 16)
	head, headHigh := sumAt(frame, 0)
	return bodyHigh == 0 && headHigh == 0 && body == xxh3(frame[headerSize:]) && head == xxh3(frame[16:headerSize])
}

func newFrame(command byte, size int) []byte {
	frame := make([]byte, size)
	binary.LittleEndian.PutUint32(frame[48:], uint32(size))
	frame[60] = command
	return frame
}

func request(number, size int) []byte {
	frame := newFrame(requestSent, size)
	binary.LittleEndian.PutUint64(frame[168:], uint64(number))
	rand.New(rand.NewSource(int64(number))).Read(frame[headerSize:])
	return seal(frame)
}

func ping() []byte { return seal(newFrame(pingClient, headerSize)) }

func totals(pong []byte) (messages, bytes uint64, ok bool) {
	if !isWhole(pong) || pong[60] != pongClient || len(pong) != headerSize+16 {
		return 0, 0, false
	}
	return binary.LittleEndian.Uint64(pong[headerSize:]), binary.LittleEndian.Uint64(pong[headerSize+8:]), true
}
