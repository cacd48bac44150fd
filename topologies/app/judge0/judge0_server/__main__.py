"""Start the server: answer at once, connect to PostgreSQL and Valkey as soon as they are there."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence

import asyncpg
import uvloop

from judge0_common.connect import DATABASE_ERRORS, Keys, SettingError, open_database, open_queue, tls
from judge0_server import store
from judge0_server.app import App, Backend
from judge0_server.information import Statistics
from judge0_server.jobs import Jobs
from judge0_server.settings import Settings, load
from judge0_server.submissions import Submissions
from judge0_server.web import Server

log = logging.getLogger("judge0")

QUEUE_CONNECTIONS = 8
# Of each process, to PostgreSQL: the smallest managed one gives 22 to all servers and workers together.
DATABASE_CONNECTIONS = 3
RETRY_SECONDS = 0.5


async def connect(settings: Settings) -> Backend:
    """The backend, once PostgreSQL has answered; keeps trying, saying what it waits for."""
    while True:
        pool = None
        try:
            pool = await open_database(os.environ, size=DATABASE_CONNECTIONS)
            await store.migrate(pool)
        except (*DATABASE_ERRORS, asyncpg.InternalClientError) as error:
            log.warning("waiting for PostgreSQL: %s: %s", type(error).__name__, error)
            if pool is not None:
                pool.terminate()  # its connections are of the few that there are
            await asyncio.sleep(RETRY_SECONDS)
        else:
            break
    client = open_queue(os.environ, size=QUEUE_CONNECTIONS)
    listener = open_queue(os.environ, size=1, read_timeout=None)
    jobs = Jobs(client, listener, Keys(settings.version))
    return Backend(Submissions(settings, pool, jobs), Statistics(pool), jobs)


async def serve(settings: Settings, children: Sequence[int]) -> None:
    """Answer until SIGTERM or SIGINT; then finish what is under way, and wait for `children` to do so."""
    app = App(settings)

    def leave() -> None:
        app.leave()
        for child in children:
            os.kill(child, signal.SIGTERM)

    everywhere = "0.0.0.0"  # noqa: S104 - a server in a container
    listener = socket.create_server((everywhere, settings.port), backlog=1024, reuse_port=True)
    log.info("listening on port %d", settings.port)
    work = asyncio.create_task(_backend(app, settings))
    await Server(app, leave=leave, stop_within=settings.stop_within).serve([listener])
    work.cancel()
    for child in children:
        await asyncio.to_thread(os.waitpid, child, 0)


async def _backend(app: App, settings: Settings) -> None:
    app.backend = await connect(settings)
    log.info("connected")
    await app.backend.jobs.listen()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        settings = load()
        tls(os.environ, "POSTGRES_CA_FILE")
        tls(os.environ, "REDIS_CA_FILE")
    except SettingError as error:
        sys.exit(f"judge0-server: {error}")
    children: list[int] = []
    while len(children) < settings.processes - 1:
        child = os.fork()
        if child == 0:
            children = []
            break
        children.append(child)
    uvloop.install()
    asyncio.run(serve(settings, children))


if __name__ == "__main__":
    main()
