# SPDX-License-Identifier: Apache-2.0
"""A WebSocket client that we did not write: python3-websockets against `twinwire serve --transport ws|wss`.

Usage: ws_client.py URL [CA_FILE]

1,000 sealed requests of 256 B to 1 MiB; every echo is compared, and the server's own count at the end. Some requests
go in fragments, and pings go between them.
"""
import asyncio
import ssl
import sys

import websockets

import frames

COUNT = 1000
IN_FLIGHT = 8


def size_of(number):
    if number % 50 == 49:
        return 1 << 20
    return 256 + number * number * 37 % (60_000 if number % 10 == 9 else 900)


async def send_all(connection, room, requests):
    for number, request in enumerate(requests):
        await room.acquire()
        if number % 7 == 3:  # in fragments
            step = max(1, len(request) // 3)
            await connection.send([request[at:at + step] for at in range(0, len(request), step)])
        else:
            await connection.send(request)
        if number % 100 == 50:
            await connection.ping(b"now and then")


async def main(url, ca_file):
    context = ssl.create_default_context(cafile=ca_file) if ca_file else None
    requests = [frames.request(number, size_of(number)) for number in range(COUNT)]
    async with websockets.connect(url, ssl=context, compression=None, max_size=None,
                                  ping_interval=1) as connection:
        room = asyncio.Semaphore(IN_FLIGHT)
        sending = asyncio.create_task(send_all(connection, room, requests))
        for request in requests:
            if await connection.recv() != request:
                sys.exit("an echo is not what was sent")
            room.release()
        await sending
        await asyncio.wait_for(await connection.ping(), 10)
        await connection.send(frames.ping())
        count, size = frames.totals(await connection.recv())
    if (count, size) != (COUNT, sum(map(len, requests))) or connection.close_code != 1000:
        sys.exit(f"the server counted {count} messages, {size} bytes; closed with {connection.close_code}")
    print(f"{count} echoes, {size} bytes, sums verified")


asyncio.run(asyncio.wait_for(main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None), 100))
