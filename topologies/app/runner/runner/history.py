"""The history of runs, in MongoDB. pymongo blocks, so it works in threads; it reconnects by itself.

The threads are its own: those of the loop look up names, which must not wait for a MongoDB that does not
answer.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import pymongo
from pymongo.errors import ConfigurationError, PyMongoError, ServerSelectionTimeoutError

from runner.errors import RunnerError, TimedOutError, UnavailableError
from runner.settings import Settings

log = logging.getLogger("runner.history")

LARGEST_PAGE = 100
THREADS = 16
RETRY_SECONDS = 5.0
# The newest are looked for among the recent ones first: not every server stops reading at a limit.
RECENT = (timedelta(minutes=1), timedelta(hours=1))

T = TypeVar("T")


class History:
    """A collection `runs`; the newest are shown first."""

    def __init__(self, settings: Settings) -> None:
        """Connects when first used. Raises UnavailableError for a URL that cannot be used."""
        options: dict[str, object] = {"tlsCAFile": str(settings.mongo_ca)} if settings.mongo_ca else {}
        try:
            self._client: pymongo.MongoClient = pymongo.MongoClient(
                settings.mongo_url,
                serverSelectionTimeoutMS=3000,
                connectTimeoutMS=3000,
                socketTimeoutMS=5000,
                maxPoolSize=THREADS,
                **options,
            )
            database = self._client.get_default_database("editor")
        except (ConfigurationError, PyMongoError) as error:
            raise UnavailableError("mongo", f"MONGO_URL cannot be used: {error}") from error
        # The administrator's database is no place for an application's data.
        name = "editor" if database.name in ("admin", "defaultdb") else database.name
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="history")
        self._runs = self._client[name]["runs"]

    async def _call(self, function: Callable[..., T], *arguments: object, **options: object) -> T:
        try:
            call = partial(function, *arguments, **options)
            return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except ServerSelectionTimeoutError as error:
            raise TimedOutError("mongo", f"no MongoDB server answered: {_first(error)}") from error
        except PyMongoError as error:
            raise UnavailableError("mongo", _first(error)) from error

    async def add(self, run: dict[str, object]) -> str:
        """Keep a run; returns its id."""
        identifier = uuid.uuid4().hex
        await self._call(self._runs.insert_one, {"_id": identifier, "at": datetime.now(UTC), **run})
        return identifier

    async def prepare(self) -> None:
        """Have the index by which the newest are found; tries until MongoDB has answered."""
        while True:
            try:
                await self._call(self._runs.create_index, [("at", pymongo.DESCENDING)])
            except RunnerError as error:
                log.info("no index yet: %s", error.message)
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    async def newest(self, count: int) -> list[dict[str, object]]:
        found = await self._call(self._newest, count)
        return [_shown(run) for run in found]

    def _newest(self, count: int) -> list[dict[str, object]]:
        now = datetime.now(UTC)
        for age in RECENT:
            found = self._find({"at": {"$gte": now - age}}, count)
            if len(found) == count:
                return found
        return self._find({}, count)

    def _find(self, wanted: dict[str, object], count: int) -> list[dict[str, object]]:
        return list(self._runs.find(wanted).sort("at", pymongo.DESCENDING).limit(count))

    async def ping(self) -> None:
        """Succeeds where MongoDB answers."""
        await self._call(self._client.admin.command, "ping")


def _shown(run: dict[str, object]) -> dict[str, object]:
    at = run.pop("at")
    return {"id": str(run.pop("_id")), "at": at.isoformat(timespec="milliseconds") + "Z", **run}


def _first(error: Exception) -> str:
    return str(error).split(", Timeout:")[0][:300]
