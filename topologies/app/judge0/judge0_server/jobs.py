"""The queue in Valkey: how long it is, putting submissions on it, and hearing which are finished."""

import asyncio
import contextlib
from collections.abc import Iterable

import redis
import redis.asyncio

from judge0_common.connect import QUEUE_ERRORS, Keys


class Jobs:
    """`client` for commands, `listener` (without read timeout) for messages."""

    def __init__(self, client: redis.asyncio.Redis, listener: redis.asyncio.Redis, keys: Keys) -> None:
        self._client, self._listener, self._keys = client, listener, keys
        self._asked: asyncio.Task[int] | None = None
        self._waiting: dict[str, asyncio.Future[None]] = {}

    async def length(self) -> int:
        """How many wait in the queue; those who ask at the same moment share one question."""
        if self._asked is None:
            self._asked = asyncio.get_running_loop().create_task(self._ask())
        return await asyncio.shield(self._asked)

    async def _ask(self) -> int:
        try:
            return await self._client.llen(self._keys.queue)
        finally:
            self._asked = None

    async def push(self, tokens: Iterable[str]) -> None:
        await self._client.rpush(self._keys.queue, *tokens)

    async def workers(self) -> dict[str, int] | None:
        """size, available, working and failed, as /workers tells them; None where there never was a queue."""
        names = await self._client.smembers(self._keys.workers)
        pipe = self._client.pipeline(transaction=False)
        pipe.llen(self._keys.queue).get(self._keys.failed)
        for name in names:
            pipe.get(self._keys.worker(name.decode())).llen(self._keys.taken(name.decode()))
        size, failed, *each = await pipe.execute()
        slots = [int(alive) for alive in each[::2] if alive is not None]
        working = sum(taken for alive, taken in zip(each[::2], each[1::2], strict=True) if alive is not None)
        if not size and not slots:
            return None
        return {"size": size, "available": sum(slots), "working": working, "failed": int(failed or 0)}

    async def finished(self, token: str, *, within: float) -> bool:
        """Wait for news that this submission is finished; False where none came (it may be all the same)."""
        news = self._waiting.setdefault(token, asyncio.get_running_loop().create_future())
        try:
            await asyncio.wait_for(asyncio.shield(news), within)
        except TimeoutError:
            return False
        return True

    def expect(self, token: str) -> None:
        """Listen for this submission from now on; to be called before it is queued."""
        self._waiting.setdefault(token, asyncio.get_running_loop().create_future())

    def forget(self, token: str) -> None:
        self._waiting.pop(token, None)

    async def listen(self) -> None:
        """Pass on news of finished submissions, for ever; connects again when the connection is lost."""
        while True:
            with contextlib.suppress(*QUEUE_ERRORS):
                await self._listen()
            await asyncio.sleep(0.2)

    async def _listen(self) -> None:
        async with self._listener.pubsub(ignore_subscribe_messages=True) as channel:
            await channel.subscribe(self._keys.finished)
            async for message in channel.listen():
                news = self._waiting.get(message["data"].decode())
                if news and not news.done():
                    news.set_result(None)
