"""What one writes first: an asyncio connect scan, as many at once as asked. For comparison only.

``python -I asyncio_scan.py ADDRESS AT_ONCE SECONDS`` prints the open and the closed ports as JSON.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from contextlib import suppress


async def scan(ip: str, at_once: int, seconds: float) -> dict[str, list[int]]:
    """Every TCP port by what a connection met; silence is not reported."""
    found: dict[str, list[int]] = {"open": [], "closed": []}
    room = asyncio.Semaphore(at_once)

    async def attempt(port: int) -> None:
        async with room:
            with suppress(OSError, TimeoutError):
                try:
                    _, writer = await asyncio.wait_for(asyncio.open_connection(ip, port), seconds)
                except ConnectionRefusedError:
                    found["closed"].append(port)
                    return
                found["open"].append(port)
                writer.close()

    await asyncio.gather(*(attempt(port) for port in range(1, 65536)))
    return found


if __name__ == "__main__":
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    sys.stdout.write(json.dumps(asyncio.run(scan(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))))
