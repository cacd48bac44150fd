"""Start the worker: build the sandbox's tree, connect, run the slots until SIGTERM."""

import asyncio
import contextlib
import logging
import os
import signal
import sys

import asyncpg
import uvloop

from judge0_common.connect import DATABASE_ERRORS, SettingError, open_database, open_queue
from judge0_worker import cgroups, sandbox
from judge0_worker.node import Node
from judge0_worker.settings import Settings, load
from judge0_worker.sweep import Sweep

log = logging.getLogger("judge0.worker")

RETRY_SECONDS = 0.5
# To PostgreSQL, for all slots: a run is two short statements, and a small server has few to give.
DATABASE_CONNECTIONS = 2


async def _database() -> asyncpg.Pool:
    """A pool, once the server has answered and judge0-server has made the tables."""
    while True:
        try:
            pool = await open_database(os.environ, size=DATABASE_CONNECTIONS)
        except DATABASE_ERRORS as error:
            log.warning("waiting for PostgreSQL: %s: %s", type(error).__name__, error)
        else:
            try:
                await pool.fetchval("SELECT 1 FROM submissions, languages LIMIT 1")
            except DATABASE_ERRORS as error:
                log.warning("waiting for judge0-server's tables: %s: %s", type(error).__name__, error)
                pool.terminate()
            else:
                return pool
        await asyncio.sleep(RETRY_SECONDS)


def _slots(settings: Settings) -> list[sandbox.Slot]:
    groups = cgroups.find(settings.directory / "cgroup")
    return [
        sandbox.Slot(
            directory=settings.directory / "slots" / str(number),
            root=settings.directory / "root",
            groups=groups,
            name=f"{settings.name}-{number}",
        )
        for number in range(settings.count)
    ]


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; then finish what runs, or hand it back, and leave."""
    loop = asyncio.get_running_loop()
    slots = _slots(settings)
    await sandbox.setup(settings.directory / "root")
    pool = await _database()
    node = Node(settings, pool, open_queue(os.environ, size=settings.count + 4))
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, node.stop)
    background = [loop.create_task(node.heartbeat()), loop.create_task(Sweep(node).run())]
    log.info("worker %s: %d slots", settings.name, settings.count)
    await asyncio.gather(*(node.slot(slot) for slot in slots))
    for task in background:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await node.leave()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    uvloop.install()
    try:
        asyncio.run(serve(load()))
    except (SettingError, sandbox.SandboxError) as error:
        sys.exit(f"judge0-worker: {error}")


if __name__ == "__main__":
    main()
