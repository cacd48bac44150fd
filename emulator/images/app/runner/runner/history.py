"""The history of runs, in MongoDB. pymongo blocks, so it works in threads; it reconnects by itself.

The threads are its own: those of the loop look up names, which must not wait for a MongoDB that does not
answer.
"""

import asyncio
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import pymongo
from pymongo.errors import ConfigurationError, PyMongoError, ServerSelectionTimeoutError

from runner.errors import TimedOutError, UnavailableError
from runner.settings import Settings

LARGEST_PAGE = 100
THREADS = 16

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

    async def newest(self, count: int) -> list[dict[str, object]]:
        found = await self._call(lambda: list(self._runs.find().sort("at", -1).limit(count)))
        return [_shown(run) for run in found]

    async def ping(self) -> None:
        """Succeeds where MongoDB answers."""
        await self._call(self._client.admin.command, "ping")


def _shown(run: dict[str, object]) -> dict[str, object]:
    at = run.pop("at")
    return {"id": str(run.pop("_id")), "at": at.isoformat(timespec="milliseconds") + "Z", **run}


def _first(error: Exception) -> str:
    return str(error).split(", Timeout:")[0][:300]
