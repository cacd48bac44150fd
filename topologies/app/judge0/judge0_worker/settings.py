"""The worker's configuration: the variables of judge0.conf that concern it, with Judge0's defaults."""

import os
import socket
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from judge0_common.connect import SettingError, integer, number, version
from judge0_worker.sandbox import Limits


@dataclass(frozen=True)
class Settings:
    """`count`: submissions run at a time; `compile`: a compiler's limits; `stop_within`: after so long, a
    worker that was told to stop hands back what it still runs. Times in seconds, sizes in KB."""

    version: str
    name: str
    count: int
    compile: Limits
    max_extract_size: int
    callbacks_max_tries: int
    callbacks_timeout: float
    max_attempts: int
    lease: float
    stop_within: float
    directory: Path


def load(env: Mapping[str, str] = os.environ) -> Settings:
    """Raises SettingError for a value that is not what its variable takes."""
    count = integer(env, "COUNT", 2 * len(os.sched_getaffinity(0)))
    if not 1 <= count <= 256:
        raise SettingError(f"COUNT={count}: a worker runs 1 to 256 submissions at a time")
    return Settings(
        version=version(env),
        # A new name each time: what an earlier process here had taken is given back as a dead worker's.
        name=f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}",
        count=count,
        compile=Limits(
            cpu=number(env, "MAX_CPU_TIME_LIMIT", 15),
            wall=number(env, "MAX_WALL_TIME_LIMIT", 20),
            memory=integer(env, "MAX_MEMORY_LIMIT", 512000),
            stack=integer(env, "MAX_STACK_LIMIT", 128000),
            processes=integer(env, "MAX_MAX_PROCESSES_AND_OR_THREADS", 120),
            file=max(integer(env, "MAX_MAX_FILE_SIZE", 4096), 4096),
            tmp=131072,
        ),
        max_extract_size=integer(env, "MAX_EXTRACT_SIZE", 10240),
        callbacks_max_tries=integer(env, "CALLBACKS_MAX_TRIES", 3),
        callbacks_timeout=number(env, "CALLBACKS_TIMEOUT", 5),
        max_attempts=max(1, integer(env, "MAX_ATTEMPTS", 3)),
        lease=number(env, "WORKER_LEASE", 4),
        # Less than stop_grace_period in docker-compose.yml, after which nobody can hand anything back.
        stop_within=number(env, "STOP_SECONDS", 15),
        directory=Path(env.get("WORK_DIR") or "/run/judge0"),
    )
