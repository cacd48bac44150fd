"""Everything that is not a submission: languages, statuses, workers, configuration, statistics."""

import dataclasses
import os
import platform
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from starlette.responses import Response

from judge0_common.formats import STATUSES
from judge0_server import answers, params, store
from judge0_server.jobs import Jobs
from judge0_server.languages import ACTIVE, BY_ID, LANGUAGES
from judge0_server.settings import PRIVATE, Settings

ABOUT = {
    "homepage": "https://judge0.com",
    "source_code": "https://github.com/judge0/judge0",
    "maintainer": "Wavetank: a reference implementation of Judge0's API, by others than Judge0's maintainers",
}
LICENSE = "Apache License, Version 2.0: https://www.apache.org/licenses/LICENSE-2.0\n"
ISOLATE = "box, the sandbox of Wavetank's reference judge0-worker: namespaces, control groups, seccomp\n"
STATISTICS_KEPT = 600.0


def about(settings: Settings) -> Response:
    return answers.ok({"version": settings.version, **ABOUT})


def languages(*, everything: bool) -> Response:
    if not everything:
        return answers.ok([{"id": item.id, "name": item.name} for item in ACTIVE])
    return answers.ok(
        [{"id": item.id, "name": item.name, "is_archived": item.is_archived} for item in LANGUAGES]
    )


def language(identifier: str) -> Response:
    found = BY_ID.get(params.whole(identifier))
    if found is None:
        return answers.bare(404)
    names = ("id", "name", "is_archived", "source_file", "compile_cmd", "run_cmd")
    return answers.ok({name: getattr(found, name) for name in names})


def statuses() -> Response:
    return answers.ok([{"id": number, "description": text} for number, text in STATUSES.items()])


def config_info(settings: Settings) -> Response:
    return answers.ok({k: v for k, v in dataclasses.asdict(settings).items() if k not in PRIVATE})


def system_info() -> Response:
    """The machine's processors and memory, under the names that lscpu and free give them."""
    memory = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    models = [
        line.split(":", 1)[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return answers.ok(
        {
            "Architecture": platform.machine(),
            "CPU(s)": str(os.cpu_count()),
            "Model name": models[0] if models else platform.processor(),
            "Kernel": platform.release(),
            "Mem": memory["MemTotal"].strip(),
            "Swap": memory["SwapTotal"].strip(),
        }
    )


async def workers(settings: Settings, jobs: Jobs) -> Response:
    found = await jobs.workers()
    if found is None:
        return answers.ok([])
    return answers.ok(
        [
            {
                "queue": settings.version,
                "size": found["size"],
                "available": found["available"],
                "idle": max(0, found["available"] - found["working"]),
                "working": found["working"],
                "paused": 0,
                "failed": found["failed"],
            }
        ]
    )


class Statistics:
    """Counted at most every ten minutes, unless the request says invalidate_cache=true."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._kept: dict[str, object] | None = None
        self._until = 0.0

    async def show(self, given: Mapping[str, object]) -> Response:
        fresh = given.get("invalidate_cache") == "true"
        if self._kept is None or fresh or time.monotonic() > self._until:
            self._kept = await self._count()
            self._until = time.monotonic() + STATISTICS_KEPT
        return answers.ok(self._kept)

    async def _count(self) -> dict[str, object]:
        found = await store.statistics(self._pool)
        now, days = datetime.now(UTC), found["days"]
        today = now.date()
        by_status = [{"status": {"id": i, "name": STATUSES[i]}, "count": n} for i, n in found["statuses"]]
        return {
            "created_at": now.isoformat(timespec="milliseconds"),
            "cached_until": (now + timedelta(seconds=STATISTICS_KEPT)).isoformat(timespec="milliseconds"),
            "submissions": {
                "total": sum(n for _, n in found["statuses"]),
                "today": days.get(str(today), 0),
                "last_30_days": {
                    str(day): days.get(str(day), 0)
                    for day in (today - timedelta(days=i) for i in range(1, 31))
                },
            },
            "languages": [
                {"language": {"id": i, "name": BY_ID[i].name}, "count": n}
                for i, n in found["languages"]
                if i in BY_ID
            ],
            "statuses": by_status,
            "database": {"size_pretty": found["size"][0], "size_in_bytes": found["size"][1]},
        }
