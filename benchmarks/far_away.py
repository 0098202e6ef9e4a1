"""A wire that is long: forwards TCP connections of this machine, each byte half of `LATENCY` seconds later.

python far_away.py HOST:PORT LATENCY     prints the address it listens on
"""

import asyncio
import sys


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Keeps order and rate: every chunk leaves `delay` seconds after it came."""
    loop, under_way = asyncio.get_running_loop(), asyncio.Queue[tuple[float, bytes]]()

    async def deliver() -> None:
        while True:
            due, data = await under_way.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            if not data:
                writer.close()
                return
            writer.write(data)

    delivering = asyncio.create_task(deliver())
    try:
        while data := await reader.read(1 << 18):
            under_way.put_nowait((loop.time() + delay, data))
    except OSError:
        pass
    under_way.put_nowait((loop.time() + delay, b""))
    await delivering


async def main(host: str, port: int, latency: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, port)
        await asyncio.gather(carry(reader, back, latency / 2), carry(there, writer, latency / 2))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, limit=1 << 20)
    print(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    where, _, number = sys.argv[1].rpartition(":")
    asyncio.run(main(where, int(number), float(sys.argv[2])))
