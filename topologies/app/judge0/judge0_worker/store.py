"""Submissions in PostgreSQL, as a worker sees them.

Every change is guarded by status, worker and attempt, so a submission gets one final status whatever dies or
comes back late.
"""

from collections.abc import Sequence
from dataclasses import astuple

import asyncpg

from judge0_worker.verdict import INTERNAL_ERROR, Result

# Also what is this worker's already: a claim whose answer was lost with the connection is made again.
_CLAIM = """
UPDATE submissions s
SET status_id = 2, worker = $2, attempt = s.attempt + (s.status_id = 1)::int, started_at = now()
FROM languages l
WHERE s.token = $1 AND (s.status_id = 1 OR s.status_id = 2 AND s.worker = $2) AND l.id = s.language_id
RETURNING s.*, l.source_file, l.compile_cmd, l.run_cmd
"""
_FINISH = """
UPDATE submissions SET status_id = $4, stdout = $5, stderr = $6, compile_output = $7, message = $8, time = $9,
    wall_time = $10, memory = $11, exit_code = $12, exit_signal = $13, finished_at = now()
WHERE token = $1 AND status_id = 2 AND worker = $2 AND attempt = $3
RETURNING 1
"""
_FINISHED = "SELECT 1 FROM submissions WHERE token = $1 AND status_id > 2 AND worker = $2 AND attempt = $3"
_RELEASE = """
UPDATE submissions SET status_id = 1, queued_at = now()
WHERE token = ANY($1::uuid[]) AND status_id = 2 AND worker = $2 AND attempt < $3
"""
_HAND_BACK = """
UPDATE submissions SET status_id = 1, queued_at = now(), attempt = attempt - 1
WHERE token = $1 AND status_id = 2 AND worker = $2 AND attempt = $3
"""
_GIVE_UP = f"""
UPDATE submissions SET status_id = {INTERNAL_ERROR}, finished_at = now(), message = $4, worker = NULL
WHERE token = ANY($1::uuid[]) AND status_id = 2 AND worker = $2 AND attempt >= $3
RETURNING token
"""  # noqa: S608 - a constant of ours
_UNFINISHED = """
SELECT token, status_id, worker FROM submissions
WHERE status_id IN (1, 2) AND queued_at < now() - make_interval(secs => $1) ORDER BY queued_at LIMIT 2000
"""


async def claim(pool: asyncpg.Pool, token: str, worker: str) -> asyncpg.Record | None:
    """Take a queued submission; None where another has it or it is finished or deleted.

    Only for what no slot of this worker runs: it would be claimed once more.
    """
    return await pool.fetchrow(_CLAIM, token, worker)


async def finish(pool: asyncpg.Pool, token: str, worker: str, attempt: int, result: Result) -> bool:
    """Write the result; False where this worker's turn was over.

    True, too, where it was written before and the answer was lost with the connection.
    """
    written = await pool.fetchval(_FINISH, token, worker, attempt, *astuple(result))
    return bool(written or await pool.fetchval(_FINISHED, token, worker, attempt))


async def hand_back(pool: asyncpg.Pool, token: str, worker: str, attempt: int) -> None:
    """Put back In Queue what this worker broke off: that was no attempt, and it claims nothing more."""
    await pool.execute(_HAND_BACK, token, worker, attempt)


async def release(pool: asyncpg.Pool, tokens: Sequence[str], worker: str, *, attempts: int) -> list[str]:
    """Put back In Queue what a dead worker had; what had `attempts` tries ends in Internal Error.

    Returns the tokens that ended.
    """
    message = f"the worker died while running this submission, {attempts} times".encode()
    ended = await pool.fetch(_GIVE_UP, tokens, worker, attempts, message)
    await pool.execute(_RELEASE, tokens, worker, attempts)
    return [str(row["token"]) for row in ended]


async def unfinished(pool: asyncpg.Pool, *, older: float) -> list[asyncpg.Record]:
    """token, status_id and worker of what has waited or run for more than `older` seconds."""
    return await pool.fetch(_UNFINISHED, older)
