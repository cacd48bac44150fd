"""Finds what got lost: work of dead workers, and submissions that the queue has forgotten.

PostgreSQL is the truth. Every worker sweeps; that two do it at once does no harm, for each change is guarded
by the row's status.
"""

import asyncio
import logging
import time
from collections.abc import Iterable

from judge0_common.connect import DATABASE_ERRORS, QUEUE_ERRORS
from judge0_worker import store
from judge0_worker.node import Node

log = logging.getLogger("judge0.sweep")

EVERY_SECONDS = 1.0
# A row that is In Queue for this long and on no list has been forgotten.
FORGOTTEN_SECONDS = 5.0


class Sweep:
    """Remembers between two looks since when a worker has been silent."""

    def __init__(self, node: Node) -> None:
        self._node, self._keys = node, node.keys
        self._silent: dict[str, float] = {}
        self._stray: set[str] = set()

    async def run(self) -> None:
        while True:
            try:
                await self._once()
            except (*QUEUE_ERRORS, *DATABASE_ERRORS) as error:
                log.warning("sweep: %s: %s", type(error).__name__, error)
            await asyncio.sleep(EVERY_SECONDS)

    async def _once(self) -> None:
        await self._own()
        known = {name.decode() for name in await self._node.queue.smembers(self._keys.workers)}
        for worker in await self._dead(known):
            await self._bury(worker)
        await self._forgotten()

    async def _dead(self, workers: Iterable[str]) -> list[str]:
        """Those without a heartbeat for a whole lease; a queue that lost its data has nobody's at first."""
        now, dead = time.monotonic(), []
        for worker in workers:
            if await self._node.queue.exists(self._keys.worker(worker)):
                self._silent.pop(worker, None)
            elif now - self._silent.setdefault(worker, now) > self._node.settings.lease:
                dead.append(worker)
        return dead

    async def _bury(self, worker: str) -> None:
        """Give back what a dead worker had taken."""
        taken = self._keys.taken(worker)
        tokens = [token.decode() for token in await self._node.queue.lrange(taken, 0, -1)]
        if tokens:
            log.warning("worker %s is gone; it had %d submissions", worker, len(tokens))
            await self._release(tokens, worker)
        pipe = self._node.queue.pipeline(transaction=True)
        if tokens:
            pipe.lpush(self._keys.queue, *reversed(tokens))
        pipe.delete(taken).srem(self._keys.workers, worker)
        await pipe.execute()
        self._silent.pop(worker, None)

    async def _release(self, tokens: list[str], worker: str) -> None:
        ended = await store.release(
            self._node.pool, tokens, worker, attempts=self._node.settings.max_attempts
        )
        for token in ended:
            await self._node.queue.publish(self._keys.finished, token)

    async def _own(self) -> None:
        """Give back what this worker's list holds and no slot runs: taken while the connection broke."""
        taken = self._keys.taken(self._node.settings.name)
        held = {token.decode() for token in await self._node.queue.lrange(taken, 0, -1)}
        stray = held - self._node.running
        for token in stray & self._stray:
            pipe = self._node.queue.pipeline(transaction=True)
            pipe.lrem(taken, 1, token).lpush(self._keys.queue, token)
            await pipe.execute()
        self._stray = stray - self._stray

    async def _forgotten(self) -> None:
        rows = await store.unfinished(self._node.pool, older=FORGOTTEN_SECONDS)
        if not rows:
            return
        queued = {token.decode() for token in await self._node.queue.lrange(self._keys.queue, 0, -1)}
        known = {name.decode() for name in await self._node.queue.smembers(self._keys.workers)}
        for worker in known:
            taken = await self._node.queue.lrange(self._keys.taken(worker), 0, -1)
            queued.update(token.decode() for token in taken)
        lost = [str(row["token"]) for row in rows if row["status_id"] == 1]
        lost = [token for token in lost if token not in queued]
        orphans: dict[str, list[str]] = {}
        for row in rows:
            if row["status_id"] == 2 and row["worker"] != self._node.settings.name:
                orphans.setdefault(row["worker"], []).append(str(row["token"]))
        for worker in await self._dead(orphans):
            await self._release(orphans[worker], worker)
            lost += [token for token in orphans[worker] if token not in queued]
        if lost:
            log.warning("%d submissions were on no list; they are queued again", len(lost))
            await self._node.queue.rpush(self._keys.queue, *lost)
