"""Start the runner; it answers at once and reaches for Judge0 and MongoDB when they are needed."""

import asyncio
import logging
import signal
import sys

import uvloop
from aiohttp import web

from runner.app import Api
from runner.errors import RunnerError
from runner.history import History
from runner.judge0 import Judge0, session
from runner.settings import SettingError, Settings, load

LINGER = 1.0


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; then finish what is under way."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    async with session(settings.judge0_timeout) as connections:
        judge0 = Judge0(
            connections, settings.judge0_url, settings.judge0_token, patience=settings.judge0_patience
        )
        history = History(settings)
        index = asyncio.create_task(history.prepare())
        api = Api(judge0, history, run_timeout=settings.run_timeout)
        runner = web.AppRunner(api.application(), access_log=None)
        await runner.setup()
        everywhere = "0.0.0.0"  # noqa: S104 - a server in a container
        site = web.TCPSite(
            runner, everywhere, settings.port, backlog=512, shutdown_timeout=settings.run_timeout + 5
        )
        await site.start()
        logging.getLogger("runner").info("listening on port %d", settings.port)
        await stop.wait()
        # Some connections were made but not accepted yet, and not everybody knows yet that this runner goes.
        await asyncio.sleep(LINGER)
        await runner.cleanup()
        index.cancel()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    uvloop.install()
    try:
        asyncio.run(serve(load()))
    except (SettingError, RunnerError) as error:
        sys.exit(f"runner: {error}")


if __name__ == "__main__":
    main()
