"""Connections to PostgreSQL and Valkey, from the environment."""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path

import asyncpg
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

# Where the compose file's directory is mounted: the CA files lie beside it.
FILES = Path(os.environ.get("FILES_DIR", "/run/app"))

DATABASE_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)
QUEUE_ERRORS = (OSError, redis.RedisError, TimeoutError)

# The server asks whether we still are there: without power, a machine would hold its connections for hours,
# and a managed PostgreSQL has few to give.
NOTICE_DEATH = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25000",  # ms; keepalive does not ask while an answer is on its way
}


class SettingError(Exception):
    """An environment variable that cannot be used; says which and why."""


def number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "").strip()
    try:
        return float(text or default)
    except ValueError as error:
        raise SettingError(f"{name}={text!r} is not a number") from error


def integer(env: Mapping[str, str], name: str, default: int) -> int:
    return int(number(env, name, default))


def flag(env: Mapping[str, str], name: str, default: bool) -> bool:
    """Judge0's reading: only "false" turns off what is on by default, only "true" turns on what is off."""
    text = env.get(name, "").strip().lower()
    return text != "false" if default else text == "true"


def tls(env: Mapping[str, str], name: str) -> ssl.SSLContext | None:
    """The TLS context for the CA file that `name` gives, or None where none is given (plain connections)."""
    given = env.get(name, "").strip()
    if not given:
        return None
    path = Path(given) if Path(given).is_absolute() else FILES / given
    try:
        return ssl.create_default_context(cafile=str(path))
    except (OSError, ssl.SSLError) as error:
        raise SettingError(f"{name}: cannot read a CA certificate from {path}: {error}") from error


async def open_database(env: Mapping[str, str], *, size: int) -> asyncpg.Pool:
    """A pool of up to `size` connections; one is opened at once, so this fails where the server is away."""
    return await asyncpg.create_pool(
        host=env.get("POSTGRES_HOST") or "localhost",
        port=integer(env, "POSTGRES_PORT", 5432),
        database=env.get("POSTGRES_DB") or "judge0",
        user=env.get("POSTGRES_USER") or "judge0",
        password=env.get("POSTGRES_PASSWORD") or None,
        ssl=tls(env, "POSTGRES_CA_FILE") or False,
        min_size=1,
        max_size=size,
        timeout=5,
        command_timeout=15,
        max_inactive_connection_lifetime=0,
        server_settings={"application_name": "judge0", **NOTICE_DEATH},
    )


def open_queue(env: Mapping[str, str], *, size: int, read_timeout: float | None = 15) -> redis.asyncio.Redis:
    """A client with up to `size` connections, opened when first used."""
    context = env.get("REDIS_CA_FILE", "").strip()
    kind = redis.asyncio.SSLConnection if context else redis.asyncio.Connection
    options: dict[str, object] = {}
    if context:
        tls(env, "REDIS_CA_FILE")  # a clear error now instead of one per connection later
        path = Path(context) if Path(context).is_absolute() else FILES / context
        options = {"ssl_ca_certs": str(path), "ssl_check_hostname": True}
    pool = redis.asyncio.BlockingConnectionPool(
        connection_class=kind,
        host=env.get("REDIS_HOST") or "localhost",
        port=integer(env, "REDIS_PORT", 6379),
        username=env.get("REDIS_USERNAME") or None,
        password=env.get("REDIS_PASSWORD") or None,
        max_connections=size,
        socket_connect_timeout=5,
        socket_timeout=read_timeout,
        socket_keepalive=True,
        retry=Retry(NoBackoff(), 1),
        retry_on_error=[redis.ConnectionError],
        timeout=5,
        **options,
    )
    return redis.asyncio.Redis(connection_pool=pool)


def version(env: Mapping[str, str]) -> str:
    return env.get("JUDGE0_VERSION", "").strip() or "1.13.1"


class Keys:
    """The names of everything in Valkey. Like Judge0's, the queue is named after the version."""

    def __init__(self, release: str) -> None:
        self.queue = f"queue:{release}"
        self.workers = f"workers:{release}"
        self.failed = f"failed:{release}"
        self.finished = f"finished:{release}"
        self._taken, self._worker = f"taken:{release}:", f"worker:{release}:"

    def taken(self, worker: str) -> str:
        """The list of what a worker has taken from the queue and not finished."""
        return self._taken + worker

    def worker(self, worker: str) -> str:
        """A worker's heartbeat: the number of its slots, gone when it is."""
        return self._worker + worker
