# SPDX-License-Identifier: Apache-2.0
"""A WebSocket server that we did not write: python3-websockets, which verifies and echoes what a client sends.

Usage: ws_echo_server.py [CERT_FILE KEY_FILE]

Serves one connection, then says what it saw. Every seventh echo goes back in fragments, and pings go between them.
"""
import asyncio
import ssl
import sys

import websockets

import frames


async def main(files):
    context = None
    if files:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files)
    over = asyncio.get_running_loop().create_future()

    async def echo(connection, path):
        count = size = damaged = 0
        async for message in connection:
            damaged += not frames.is_whole(message)
            if count % 7 == 3:
                step = max(1, len(message) // 3)
                await connection.send([message[at:at + step] for at in range(0, len(message), step)])
            else:
                await connection.send(message)
            count += 1
            size += len(message)
            if count % 100 == 50:
                await connection.ping()
        over.set_result(f"{count} messages, {size} bytes, {damaged} damaged, closed with {connection.close_code}")

    async with websockets.serve(echo, "127.0.0.1", 0, ssl=context, compression=None, max_size=None) as server:
        print("port", server.sockets[0].getsockname()[1], flush=True)
        print(await over, flush=True)


asyncio.run(asyncio.wait_for(main(sys.argv[1:3]), 100))
