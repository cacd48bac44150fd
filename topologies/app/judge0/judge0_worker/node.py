"""The worker process: slots that take, run and finish submissions, and the heartbeat that says it lives."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncpg
import redis.asyncio

from judge0_common.connect import DATABASE_ERRORS, QUEUE_ERRORS, Keys
from judge0_worker import callback, store
from judge0_worker.execute import execute
from judge0_worker.sandbox import Slot
from judge0_worker.settings import Settings
from judge0_worker.verdict import INTERNAL_ERROR, Result

log = logging.getLogger("judge0.worker")

# A worker that stops waits for this to be over: a command that is broken off may have taken something.
TAKE_SECONDS = 1
RETRY_SECONDS = 0.2
# Results wait in memory until their callbacks are over; one that is told to stop waits for them so long.
CALLBACKS = 32
LEAVE_SECONDS = 3.0
# A value that cannot be written, as asyncpg or PostgreSQL says: trying again does not help.
UNWRITABLE = (ValueError, asyncpg.DataError, asyncpg.ProgramLimitExceededError)

T = TypeVar("T")


class Node:
    """One worker process with `settings.count` slots."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool, queue: redis.asyncio.Redis) -> None:
        self.settings, self.pool, self.queue = settings, pool, queue
        self.keys = Keys(settings.version)
        self.running: set[str] = set()
        self._callbacks: set[asyncio.Task[None]] = set()
        self._executions: set[asyncio.Task[Result]] = set()
        self._stopping = asyncio.Event()
        self._out_of_time = False

    async def slot(self, slot: Slot) -> None:
        """Take submissions one after the other until told to stop."""
        while not self._stopping.is_set():
            token = await self._take()
            if token is None:
                continue
            if self._stopping.is_set():
                await self._put_back(token)
                return
            if token in self.running:
                # On the queue twice, as after a queue's loss: another slot here has it.
                await self._let_go(token, news=False)
                continue
            self.running.add(token)
            try:
                await self._work(token, slot)
            finally:
                self.running.discard(token)

    async def _take(self) -> str | None:
        try:
            taken = await self.queue.blmove(
                self.keys.queue, self.keys.taken(self.settings.name), TAKE_SECONDS, "LEFT", "RIGHT"
            )
        except QUEUE_ERRORS as error:
            log.warning("queue: %s: %s", type(error).__name__, error)
            await asyncio.sleep(RETRY_SECONDS)
            return None
        return taken.decode() if taken else None

    async def _work(self, token: str, slot: Slot) -> None:
        name = self.settings.name
        row = await self._claim(token)
        if row is None:
            await self._let_go(token, news=False)
            return
        result = await self._execute(row, slot)
        if result is None:
            log.warning("%s is left to another worker: there is no time to finish it", token)
            await self._insist(
                "hand back",
                lambda: store.hand_back(self.pool, token, name, row["attempt"]),
                DATABASE_ERRORS,
            )
            await self._put_back(token)
            return
        written = await self._finish(row, result)
        await self._let_go(token, news=written, failed=result.status_id == INTERNAL_ERROR)
        if written and row["callback_url"]:
            await self._call_back(row["callback_url"], token, result)

    async def _claim(self, token: str) -> asyncpg.Record | None:
        name = self.settings.name
        try:
            return await self._insist("claim", lambda: store.claim(self.pool, token, name), DATABASE_ERRORS)
        except UNWRITABLE:
            log.exception("%.200r on the queue is no token", token)
            return None

    async def _finish(self, row: asyncpg.Record, result: Result) -> bool:
        token, name, attempt = str(row["token"]), self.settings.name, row["attempt"]

        def write(what: Result) -> Awaitable[bool]:
            return self._insist(
                "finish", lambda: store.finish(self.pool, token, name, attempt, what), DATABASE_ERRORS
            )

        try:
            return await write(result)
        except UNWRITABLE as error:
            # However often it were tried: the slot would never run anything again.
            log.exception("%s: the result cannot be written", token)
            return await write(Result(INTERNAL_ERROR, message=f"no result: {type(error).__name__}".encode()))

    async def _execute(self, row: asyncpg.Record, slot: Slot) -> Result | None:
        """The result; None where `give_up` broke it off."""
        if self._out_of_time:
            return None
        execution = asyncio.create_task(execute(row, slot, self.settings))
        self._executions.add(execution)
        try:
            await asyncio.wait({execution})
        finally:
            self._executions.discard(execution)
        if execution.cancelled():
            return None
        error = execution.exception()
        if error is None:
            return execution.result()
        # A slot must outlive whatever one submission does to it; the submission says what happened.
        log.error("running %s", row["token"], exc_info=error)
        message = f"{type(error).__name__}: {error}"
        return Result(INTERNAL_ERROR, message=message.encode("utf-8", "replace"))

    async def _put_back(self, token: str) -> None:
        """To the head of the queue, for another worker."""
        pipe = self.queue.pipeline(transaction=True)
        pipe.lrem(self.keys.taken(self.settings.name), 1, token).lpush(self.keys.queue, token)
        try:
            await pipe.execute()
        except QUEUE_ERRORS as error:
            # It is In Queue in the database: a sweep puts it on the queue.
            log.warning("queue: %s: %s", type(error).__name__, error)

    async def _call_back(self, url: str, token: str, result: Result) -> None:
        """In the background; where too many are on their way already, once one of them is over."""
        while len(self._callbacks) >= CALLBACKS:
            await asyncio.wait(self._callbacks, return_when=asyncio.FIRST_COMPLETED)
        tries, timeout = self.settings.callbacks_max_tries, self.settings.callbacks_timeout
        task = asyncio.create_task(callback.call(url, token, result, tries=tries, timeout=timeout))
        self._callbacks.add(task)
        task.add_done_callback(self._callbacks.discard)

    async def _let_go(self, token: str, *, news: bool, failed: bool = False) -> None:
        pipe = self.queue.pipeline(transaction=False)
        if news:
            pipe.publish(self.keys.finished, token)
        if failed:
            pipe.incr(self.keys.failed)
        pipe.lrem(self.keys.taken(self.settings.name), 1, token)
        try:
            await pipe.execute()
        except QUEUE_ERRORS as error:
            # The sweep clears this worker's list of what it does not run.
            log.warning("queue: %s: %s", type(error).__name__, error)

    async def _insist(
        self, what: str, action: Callable[[], Awaitable[T]], errors: tuple[type[BaseException], ...]
    ) -> T:
        """Until it works: a database that restarts must cost no submission. Raises what no retry mends."""
        while True:
            try:
                return await action()
            except UNWRITABLE:
                raise
            except errors as error:
                log.warning("%s: %s: %s", what, type(error).__name__, error)
                await asyncio.sleep(RETRY_SECONDS)

    async def heartbeat(self) -> None:
        """Say every second that this worker is there and how many slots it has, for ever.

        Also while it stops, or another worker would take what it still runs for a dead one's; then its slots
        are those that run something.
        """
        lifetime = max(1000, int(self.settings.lease * 1000))
        while True:
            slots = len(self.running) if self._stopping.is_set() else self.settings.count
            pipe = self.queue.pipeline(transaction=False)
            pipe.set(self.keys.worker(self.settings.name), slots, px=lifetime)
            pipe.sadd(self.keys.workers, self.settings.name)
            try:
                await pipe.execute()
            except QUEUE_ERRORS as error:
                log.warning("heartbeat: %s: %s", type(error).__name__, error)
            await asyncio.sleep(min(1.0, self.settings.lease / 4))

    def stop(self) -> None:
        """Take nothing more; what runs is finished, or handed back where it takes too long."""
        if not self._stopping.is_set():
            self._stopping.set()
            asyncio.get_running_loop().call_later(self.settings.stop_within, self.give_up)

    def give_up(self) -> None:
        """Break off what runs, and leave it to other workers."""
        self._out_of_time = True
        for execution in self._executions:
            execution.cancel()

    async def leave(self) -> None:
        """After the last run: nothing is held, so nobody need wait for the heartbeat to end."""
        name = self.settings.name
        if self._callbacks:
            await asyncio.wait(self._callbacks, timeout=LEAVE_SECONDS)
        pipe = self.queue.pipeline(transaction=False)
        pipe.delete(self.keys.worker(name)).srem(self.keys.workers, name)
        try:
            await pipe.execute()
        except QUEUE_ERRORS as error:
            log.warning("leaving: %s", error)
