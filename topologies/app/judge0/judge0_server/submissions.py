"""Creating, reading, listing and deleting submissions."""

import logging
import re
import time
import uuid
from collections.abc import Mapping, Sequence

import asyncpg
from starlette.responses import Response

from judge0_common.connect import QUEUE_ERRORS
from judge0_common.formats import STATUSES
from judge0_server import answers, params, render, store, validate
from judge0_server.cache import Cache
from judge0_server.jobs import Jobs
from judge0_server.settings import Settings

log = logging.getLogger("judge0.submissions")

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

# PostgreSQL counts rows in 64 bits.
_MOST_ROWS = 2**63

# A request's parameters, as `params.merged` gives them.
Given = Mapping[str, object]

# wait=true looks into the database this often, in case the news of a result is lost.
LOOK_EVERY = 1.0


class Submissions:
    """The endpoints under /submissions, over a database pool and a queue."""

    def __init__(self, settings: Settings, pool: asyncpg.Pool, jobs: Jobs) -> None:
        self._settings, self._pool, self._jobs = settings, pool, jobs
        self._inserts = store.Writer(self._insert)
        self._admitted = 0
        self._cache = Cache(settings.submission_cache_duration)
        # Longest: compilation, then every run at its longest, then being done again by another worker.
        self._longest = 3 * (settings.max_wall_time_limit * (1 + settings.max_number_of_runs)) + 60

    async def _insert(self, rows: Sequence[store.Row]) -> None:
        await store.insert(self._pool, rows)
        try:
            await self._jobs.push([str(row["token"]) for row in rows])
        except QUEUE_ERRORS as error:
            # They are in the database, which is the truth: a worker's sweep puts them on the queue.
            log.warning("%d submissions stored, not queued yet: %s", len(rows), error)

    async def _accept(self, rows: Sequence[dict[str, object]], *, wait: bool = False) -> list[str]:
        tokens = [str(uuid.uuid4()) for _ in rows]
        for row, token in zip(rows, tokens, strict=True):
            row["token"] = token
            if wait:
                self._jobs.expect(token)
        self._admitted += len(rows)
        try:
            await self._inserts.add(rows)
        finally:
            self._admitted -= len(rows)
        return tokens

    async def _full(self, more: int) -> bool:
        """Whether the queue has no room for `more`; counts those that are on their way to it too."""
        return await self._jobs.length() + self._admitted + more > self._settings.max_queue_size

    def _maintenance(self) -> Response:
        return answers.error(self._settings.maintenance_message, 503)

    async def create(self, given: Given) -> Response:
        if self._settings.maintenance_mode:
            return self._maintenance()
        encoded, wait = _encoded(given), given.get("wait") == "true"
        if wait and not self._settings.enable_wait_result:
            return answers.error("wait not allowed", 400)
        if await self._full(1):
            return answers.error("queue is full", 503)
        fields = render.parse_fields(given.get("fields"))
        try:
            row = validate.submission(params.attributes(given, encoded=encoded), self._settings)
        except validate.RefusedError as error:
            return answers.refused(error.errors, 422)
        if not wait:
            [token] = await self._accept([row])
            return answers.ok({"token": token}, 201)
        return await self._create_and_wait(row, fields, encoded=encoded)

    async def _create_and_wait(
        self, row: dict[str, object], fields: Sequence[str], *, encoded: bool
    ) -> Response:
        [token] = await self._accept([row], wait=True)
        try:
            done = await self._result(token)
        finally:
            self._jobs.forget(token)
        try:
            return answers.ok(render.submission(done, fields, encoded=encoded), 201)
        except render.UnreadableError:
            return answers.ok({"error": render.UNREADABLE, "token": token}, 201)

    async def _result(self, token: str) -> asyncpg.Record:
        """The row once it is finished; as it is when the longest that a run can take is over."""
        deadline = time.monotonic() + self._longest
        while True:
            await self._jobs.finished(token, within=LOOK_EVERY)
            row = (await store.find(self._pool, [token]))[token]
            if row["status_id"] not in (1, 2) or time.monotonic() > deadline:
                return row
            self._jobs.forget(token)

    async def create_batch(self, given: Given) -> Response:
        if not self._settings.enable_batched_submissions:
            return answers.error("batched submissions are not allowed", 400)
        items = given.get("submissions")
        if not isinstance(items, list):
            items = []
        if await self._full(len(items)):
            return answers.error("queue is full", 503)
        if refusal := self._batch_size(len(items)):
            return refusal
        if not all(isinstance(item, dict) for item in items):
            return answers.bare(500)
        encoded = _encoded(given)
        outcomes: list[dict[str, object]] = []
        rows = []
        for item in items:
            try:
                row = validate.submission(params.attributes(item, encoded=encoded), self._settings)
            except validate.RefusedError as error:
                outcomes.append(dict(error.errors))
            else:
                rows.append(row)
                outcomes.append(row)
        if not rows:
            return answers.refused(outcomes, 422)
        await self._accept(rows)
        return answers.ok([{"token": o["token"]} if "token" in o else o for o in outcomes], 201)

    def _batch_size(self, size: int) -> Response | None:
        largest = self._settings.max_submission_batch_size
        if size == 0:
            return answers.error("there should be at least one submission in a batch", 400)
        if size > largest:
            return answers.error(
                f"number of submissions in a batch should be less than or equal to {largest}", 400
            )
        return None

    async def show(self, token: str, given: Given) -> Response:
        fields = render.parse_fields(given.get("fields"))
        row = self._cache.get(token)
        if row is None:
            row = await self._find(token)
            if row is None:
                return answers.bare(404)
            self._cache.put(token, row)
        try:
            return answers.ok(render.submission(row, fields, encoded=_encoded(given)))
        except render.UnreadableError:
            return answers.error(render.UNREADABLE, 400)

    async def _find(self, token: str) -> asyncpg.Record | None:
        if not _UUID.fullmatch(token):
            return None
        return (await store.find(self._pool, [token])).get(token)

    async def show_batch(self, given: Given, *, tokens: str | None) -> Response:
        """`tokens` is the header of that name, which wins over the parameter."""
        if not self._settings.enable_batched_submissions:
            return answers.error("batched submissions are not allowed", 400)
        fields = render.parse_fields(given.get("fields"))
        asked = render.split(str((given.get("tokens") if tokens is None else tokens) or "").strip())
        if refusal := self._batch_size(len(asked)):
            return refusal
        rows = await store.find(self._pool, [token for token in asked if _UUID.fullmatch(token)])
        try:
            shown = [
                render.submission(rows[token], fields, encoded=_encoded(given)) if token in rows else None
                for token in asked
            ]
        except render.UnreadableError:
            return answers.error(render.UNREADABLE_AMONG, 400)
        return answers.ok({"submissions": shown})

    async def index(self, given: Given) -> Response:
        fields = render.parse_fields(given.get("fields"))
        page, size = params.whole(given.get("page"), 1), params.whole(given.get("per_page"), 20)
        if page <= 0:
            return answers.error(f"invalid page: {page}", 400)
        if size < 0:
            return answers.error(f"invalid per_page: {size}", 400)
        if size == 0 or page * size >= _MOST_ROWS:
            return answers.bare(500)
        rows, total = await store.page(self._pool, number=page, size=size)
        pages = -(-total // size)
        try:
            shown = [render.submission(row, fields, encoded=_encoded(given)) for row in rows]
        except render.UnreadableError:
            return answers.error(render.UNREADABLE_AMONG, 400)
        meta = {
            "current_page": page,
            "next_page": page + 1 if page < pages else None,
            "prev_page": page - 1 if page > 1 else None,
            "total_pages": pages,
            "total_count": total,
        }
        return answers.ok({"submissions": shown, "meta": meta})

    async def delete(self, token: str, given: Given) -> Response:
        if self._settings.maintenance_mode:
            return self._maintenance()
        fields = render.parse_fields(given.get("fields"))
        if not self._settings.enable_submission_delete:
            return answers.error("delete not allowed", 400)
        row = await self._find(token)
        if row is None:
            return answers.bare(404)
        gone = await store.delete(self._pool, token)
        if gone is None:
            status = f"{row['status_id']} ({STATUSES[row['status_id']]})"
            return answers.error(f"submission cannot be deleted because its status is {status}", 400)
        self._cache.drop(token)
        # Always in Base64: what is gone cannot be asked for again.
        return answers.ok(render.submission(gone, fields, encoded=True))


def _encoded(given: Given) -> bool:
    return given.get("base64_encoded") == "true"
