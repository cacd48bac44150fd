"""The runner's configuration, from the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

FILES = Path(os.environ.get("FILES_DIR", "/run/app"))


class SettingError(Exception):
    """An environment variable that cannot be used; says which and why."""


@dataclass(frozen=True)
class Settings:
    """`mongo_ca` is the CA's file, None for a connection as the URL says. Times in seconds: `judge0_timeout`
    for one answer of Judge0, `judge0_patience` until it can be reached, `run_timeout` from a request until
    its submission is finished, the other two included."""

    judge0_url: str
    judge0_token: str
    mongo_url: str
    mongo_ca: Path | None
    judge0_timeout: float
    judge0_patience: float
    run_timeout: float
    port: int


def _seconds(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "").strip()
    try:
        value = float(text) if text else default
    except ValueError as error:
        raise SettingError(f"{name}={text!r} is not a number of seconds") from error
    if not 0 < value < 3600:
        raise SettingError(f"{name}={text!r} must be more than 0 and less than 3600 seconds")
    return value


def load(env: Mapping[str, str] = os.environ) -> Settings:
    """Raises SettingError."""
    judge0 = env.get("JUDGE0_URL", "").strip().rstrip("/")
    if urlsplit(judge0).scheme not in ("http", "https"):
        raise SettingError(f"JUDGE0_URL={judge0!r} must be an http address, such as http://judge0-lb:2358")
    mongo = env.get("MONGO_URL", "").strip()
    if urlsplit(mongo).scheme not in ("mongodb", "mongodb+srv"):
        raise SettingError("MONGO_URL must begin with mongodb:// or mongodb+srv://")
    ca = env.get("MONGO_CA_FILE", "").strip()
    path = None if not ca else Path(ca) if Path(ca).is_absolute() else FILES / ca
    if path and not path.is_file():
        raise SettingError(f"MONGO_CA_FILE: there is no file {path}")
    return Settings(
        judge0_url=judge0,
        judge0_token=env.get("JUDGE0_TOKEN", ""),
        mongo_url=mongo,
        mongo_ca=path,
        judge0_timeout=_seconds(env, "JUDGE0_TIMEOUT", 15),
        judge0_patience=_seconds(env, "JUDGE0_PATIENCE", 5),
        run_timeout=_seconds(env, "RUN_TIMEOUT", 60),
        port=int(env.get("PORT") or 4000),
    )
