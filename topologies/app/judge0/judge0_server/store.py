"""Submissions in PostgreSQL. Inserts that arrive while one is under way are written together by the next."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import asyncpg

from judge0_server.languages import LANGUAGES

_TYPES = {
    "token": "uuid",
    "source_code": "bytea",
    "language_id": "integer",
    "stdin": "bytea",
    "expected_output": "bytea",
    "number_of_runs": "integer",
    "cpu_time_limit": "double precision",
    "cpu_extra_time": "double precision",
    "wall_time_limit": "double precision",
    "memory_limit": "integer",
    "stack_limit": "integer",
    "max_processes_and_or_threads": "integer",
    "enable_per_process_and_thread_time_limit": "boolean",
    "enable_per_process_and_thread_memory_limit": "boolean",
    "max_file_size": "integer",
    "compiler_options": "text",
    "command_line_arguments": "text",
    "redirect_stderr_to_stdout": "boolean",
    "callback_url": "text",
    "additional_files": "bytea",
    "enable_network": "boolean",
}
_INSERT = "INSERT INTO submissions ({}) SELECT * FROM unnest({})".format(  # noqa: S608 - our own column names
    ", ".join(_TYPES), ", ".join(f"${i}::{kind}[]" for i, kind in enumerate(_TYPES.values(), 1))
)
_MIGRATION_LOCK = 0x6A756467

Row = Mapping[str, object]
Group = Sequence[tuple[Sequence[Row], asyncio.Future[None]]]


async def migrate(pool: asyncpg.Pool) -> None:
    """Create the tables and fill in the languages; servers that start together take turns."""
    schema = Path(__file__).with_name("schema.sql").read_text()
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _MIGRATION_LOCK)
        await connection.execute(schema)
        await connection.executemany(
            "INSERT INTO languages (id, name, source_file, compile_cmd, run_cmd, is_archived)"
            " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (id) DO UPDATE SET name = excluded.name,"
            " source_file = excluded.source_file, compile_cmd = excluded.compile_cmd,"
            " run_cmd = excluded.run_cmd, is_archived = excluded.is_archived",
            LANGUAGES,
        )


async def insert(pool: asyncpg.Pool, rows: Sequence[Row]) -> None:
    """Write `rows` (with their tokens) in one statement."""
    await pool.execute(_INSERT, *([row[name] for row in rows] for name in _TYPES))


async def find(pool: asyncpg.Pool, tokens: Sequence[str]) -> dict[str, asyncpg.Record]:
    """The submissions with these tokens, by token; tokens must be UUIDs."""
    rows = await pool.fetch("SELECT * FROM submissions WHERE token = ANY($1::uuid[])", tokens)
    return {str(row["token"]): row for row in rows}


async def page(pool: asyncpg.Pool, *, number: int, size: int) -> tuple[list[asyncpg.Record], int]:
    """One page of all submissions, newest first, and how many there are."""
    total = await pool.fetchval("SELECT count(*) FROM submissions")
    rows = await pool.fetch(
        "SELECT * FROM submissions ORDER BY id DESC LIMIT $1 OFFSET $2", size, (number - 1) * size
    )
    return rows, total


async def delete(pool: asyncpg.Pool, token: str) -> asyncpg.Record | None:
    """Delete a submission that has a final status; returns the row, None where it has none or is gone."""
    return await pool.fetchrow(
        "DELETE FROM submissions WHERE token = $1 AND status_id NOT IN (1, 2) RETURNING *", token
    )


async def statistics(pool: asyncpg.Pool) -> dict[str, object]:
    """Counts for /statistics: total, today, by day, by language, by status, and the database's size."""
    async with pool.acquire() as connection:
        days = await connection.fetch(
            "SELECT (created_at AT TIME ZONE 'UTC')::date AS day, count(*) FROM submissions"
            " WHERE created_at > now() - interval '31 days' GROUP BY 1"
        )
        languages = await connection.fetch(
            "SELECT language_id, count(*) FROM submissions GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        statuses = await connection.fetch(
            "SELECT status_id, count(*) FROM submissions GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        size = await connection.fetchrow(
            "SELECT pg_database_size(current_database()) AS bytes,"
            " pg_size_pretty(pg_database_size(current_database())) AS pretty"
        )
    return {
        "days": {str(day): count for day, count in days},
        "languages": [tuple(row) for row in languages],
        "statuses": [tuple(row) for row in statuses],
        "size": (size["pretty"], size["bytes"]),
    }


class Writer:
    """Group commit: `add` returns once its rows are written, together with others that came meanwhile."""

    def __init__(self, write: Callable[[Sequence[Row]], Awaitable[None]], *, largest: int = 500) -> None:
        self._write, self._largest = write, largest
        self._waiting: list[tuple[Sequence[Row], asyncio.Future[None]]] = []
        self._busy = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, rows: Sequence[Row]) -> None:
        """Raises what writing raised."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((rows, done))
        if self._busy < 2:
            self._busy += 1
            task = loop.create_task(self._drain())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        await done

    async def _drain(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
                await self._write_group(group)
        finally:
            self._busy -= 1

    async def _write_group(self, group: Group) -> None:
        try:
            await self._write([row for rows, _ in group for row in rows])
        except (ValueError, asyncpg.DataError) as error:
            # Somebody's value cannot be written: nobody else's rows may go with it.
            if len(group) == 1:
                _settle(group, error)
            else:
                for each in group:
                    await self._write_group([each])
        except Exception as error:  # noqa: BLE001 - whatever it was belongs to those who wait for the rows
            _settle(group, error)
        else:
            _settle(group)


def _settle(group: Group, error: Exception | None = None) -> None:
    for _, done in group:
        if done.done():
            continue
        if error:
            done.set_exception(error)
        else:
            done.set_result(None)
