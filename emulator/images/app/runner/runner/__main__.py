"""Start the runner; it answers at once and reaches for Judge0 and MongoDB when they are needed."""

import asyncio
import logging
import signal
import sys

import aiohttp
import uvloop
from aiohttp import web

from runner.app import Api
from runner.errors import RunnerError
from runner.history import History
from runner.judge0 import Judge0
from runner.settings import SettingError, Settings, load


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; then finish what is under way."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    timeout = aiohttp.ClientTimeout(total=settings.judge0_timeout, connect=3)
    connector = aiohttp.TCPConnector(limit=256, keepalive_timeout=30)
    async with aiohttp.ClientSession(timeout=timeout, connector=connector) as session:
        judge0 = Judge0(session, settings.judge0_url, settings.judge0_token)
        api = Api(judge0, History(settings), run_timeout=settings.run_timeout)
        runner = web.AppRunner(api.application(), access_log=None)
        await runner.setup()
        everywhere = "0.0.0.0"  # noqa: S104 - a server in a container
        await web.TCPSite(runner, everywhere, settings.port, backlog=512, shutdown_timeout=5).start()
        logging.getLogger("runner").info("listening on port %d", settings.port)
        await stop.wait()
        await runner.cleanup()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    uvloop.install()
    try:
        asyncio.run(serve(load()))
    except (SettingError, RunnerError) as error:
        sys.exit(f"runner: {error}")


if __name__ == "__main__":
    main()
