"""The shape of Judge0's own compose file, with all that a swarm would silently do wrong about it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import judge0_official
import pytest
from stack_helpers import a_service, a_topology

from harness.core.errors import TopologyError
from harness.deploy.engine import Image
from harness.stack import Source, Stack, convert
from harness.stack.steps.program import WRAPPER


def stack(directory: Path, **more: Any) -> Stack:
    """It as the swarm's service ``judge0``."""
    file = judge0_official.write(directory)
    service = a_service("judge0", compose=file, **more)
    known = judge0_official.IMAGES
    source = Source(
        service=service,
        text=file.read_text(),
        environment={},
        secret=frozenset(),
        files={},
        images={name: Image(f"{name}:1", f"sha256:{'b' * 64}") for name in known},
        programs={name: entrypoint + command for name, (entrypoint, command) in known.items()},
        entrypoints={name: entrypoint for name, (entrypoint, _) in known.items()},
    )
    return convert(a_topology(service), [source], ipvs=True)


def test_as_it_is_it_is_refused(tmp_path: Path) -> None:
    """Every submission would end in Internal Error; the error names the field and both ways out."""
    with pytest.raises(TopologyError, match=r"services\.server\.privileged: .*ignores") as caught:
        stack(tmp_path)
    assert "cap_add: [SYS_ADMIN]" in caught.value.remedy
    assert "plain `services:`" in caught.value.remedy


def test_with_capabilities_both_that_ask_have_them(tmp_path: Path) -> None:
    """Server and workers; the database and the queue have not."""
    services = stack(tmp_path, cap_add=("SYS_ADMIN",)).document["services"]
    assert list(services) == ["judge0-server", "judge0-workers", "judge0-db", "judge0-redis"]
    having = [name for name, body in services.items() if body.get("cap_add") == ["SYS_ADMIN"]]
    assert having == ["judge0-server", "judge0-workers"]


def test_names_that_the_configuration_has_lead_where_they_did(tmp_path: Path) -> None:
    """``redis`` and ``db`` are what judge0.conf says."""
    services = stack(tmp_path, cap_add=("SYS_ADMIN",)).document["services"]
    aliases = {name: body["networks"]["default"]["aliases"] for name, body in services.items()}
    assert aliases["judge0-db"] == ["db"]
    assert aliases["judge0-redis"] == ["redis"]


def test_its_configuration_is_a_secret_where_it_was_a_file(tmp_path: Path) -> None:
    """It holds both passwords."""
    made = stack(tmp_path, cap_add=("SYS_ADMIN",))
    for name in ("judge0-server", "judge0-workers"):
        (reference,) = made.document["services"][name]["secrets"]
        assert reference["target"] == "/judge0.conf"
        assert made.secrets[reference["source"]] == judge0_official.CONF.encode()
    assert made.configs == {}


def test_no_password_is_to_be_seen(tmp_path: Path) -> None:
    """Neither in the text nor in a note."""
    made = stack(tmp_path, cap_add=("SYS_ADMIN",))
    for password in (judge0_official.POSTGRES, judge0_official.REDIS):
        assert password not in made.text
        assert not any(password in str(note) for note in made.notes)


def test_the_queue_finds_its_password_in_its_environment(tmp_path: Path) -> None:
    """Its shell runs under the wrapper, behind the image's own entry point."""
    made = stack(tmp_path, cap_add=("SYS_ADMIN",))
    redis = made.document["services"]["judge0-redis"]
    assert redis["entrypoint"][:2] == list(WRAPPER[:2])
    assert redis["command"][:3] == ["docker-entrypoint.sh", "bash", "-c"]
    assert '"$$REDIS_PASSWORD"' in redis["command"][3]
    content = made.secrets[redis["secrets"][0]["source"]].decode()
    assert f"REDIS_PASSWORD={shlex.quote(judge0_official.REDIS)}\n" in content
    assert redis["environment"]["REDIS_PORT"] == "6379"
    assert redis["environment"]["AUTHN_TOKEN"] == ""


def test_workers_keep_their_command(tmp_path: Path) -> None:
    """They have no secret variables, so nothing is wrapped and the image's entry point is untouched."""
    workers = stack(tmp_path, cap_add=("SYS_ADMIN",)).document["services"]["judge0-workers"]
    assert workers["command"] == ["./scripts/workers"]
    assert "entrypoint" not in workers


def test_the_database_is_never_run_twice(tmp_path: Path) -> None:
    """An update stops the old one first, and a note says where its data are."""
    made = stack(tmp_path, cap_add=("SYS_ADMIN",))
    assert made.document["services"]["judge0-db"]["deploy"]["update_config"]["order"] == "stop-first"
    assert made.document["volumes"] == {"judge0_data": {}}
    assert any("finds an empty one" in note.what for note in made.notes if "services.db" in note.where)


def test_the_port_that_the_topology_names_is_the_servers(tmp_path: Path) -> None:
    """It is the one that publishes it, though none is named like the service."""
    services = stack(tmp_path, cap_add=("SYS_ADMIN",), ports=(2358,)).document["services"]
    assert services["judge0-server"]["ports"][0]["published"] == 2358
    assert "ports" not in services["judge0-workers"]
