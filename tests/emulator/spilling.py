"""Where a secret could be seen by somebody who should not: the engine, processes, logs, files."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker

from emulator.cloud.models import Account, Database
from emulator.cloud.store import Store
from harness.target.target import Target


def secrets_of(state_dir: Path, target: Target) -> dict[str, str]:
    """What nobody may read, by what it is; of keys one line."""
    state = state_dir / "emulator"
    store = Store(state / "state.db")
    clusters, accounts = store.all(Database), store.all(Account)
    store.close()
    keys = {f"key of {each.name}": each.private_key for each in clusters}
    keys["key of the databases' CA"] = accounts[0].ca_key
    keys |= {file.name: file.read_text() for file in (state / "tls").glob("*key*")}
    assert len(clusters) > 1
    assert len(keys) > len(clusters) + 2
    passwords = {f"password of {each.name}": each.password for each in clusters}
    return {
        "API token": target.token,
        **passwords,
        **{name: key.splitlines()[1] for name, key in keys.items()},
    }


def leaks(state_dir: Path, secrets: Mapping[str, str]) -> list[str]:
    """Every place where a secret is seen; empty is good."""
    state = state_dir / "emulator"
    seen = [*_of_engine(state), *_of_processes(state), *_of_files(state_dir)]
    return [
        f"{name} in {place}" for place, text in seen for name, secret in secrets.items() if secret in text
    ]


def _ours(engine: docker.DockerClient, state: Path) -> list[Any]:
    return list(engine.containers.list(all=True, filters={"label": f"wavetank.state={state.resolve()}"}))


def _of_engine(state: Path) -> Iterator[tuple[str, str]]:
    engine = docker.from_env()
    try:
        containers = _ours(engine, state)
        assert len(containers) > 3
        for each in containers:
            yield f"docker inspect {each.name}", json.dumps(engine.api.inspect_container(each.id))
            yield f"docker logs {each.name}", each.logs().decode(errors="replace")
            yield f"the image of {each.name}", json.dumps(engine.api.history(each.attrs["Image"]))
    finally:
        engine.close()


def _of_processes(state: Path) -> Iterator[tuple[str, str]]:
    """Those of this machine, but for the droplets': an application may have what it was given."""
    engine = docker.from_env()
    droplets = [each.id for each in _ours(engine, state) if each.labels["wavetank.kind"] == "droplet"]
    engine.close()
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended, or is not ours
            groups = (folder / "cgroup").read_text()
            if not any(droplet in groups for droplet in droplets):
                for name in ("cmdline", "environ"):
                    yield f"{folder / name}", (folder / name).read_bytes().decode(errors="replace")


def _of_files(state_dir: Path) -> Iterator[tuple[str, str]]:
    """Files that others may read, and logs, whoever may."""
    for folder, _, names in os.walk(state_dir):
        for file in (Path(folder) / name for name in names):
            with suppress(FileNotFoundError):
                mode = file.lstat().st_mode
                is_log = file.suffix == ".log" or file.name == "log"
                if stat.S_ISREG(mode) and (is_log or mode & 0o077):
                    yield f"{file} ({stat.filemode(mode)})", file.read_text(errors="replace")
