"""What a topology merges into a stack's compose files: it is converted, and passwords in it stay secret."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from stack_helpers import a_source, a_topology

from harness.core import yaml
from harness.core.errors import TopologyError
from harness.stack import Stack, convert

NAME = "docker-compose.wavetank-1.yml"
TEXT = "services: {web: {image: web, volumes: ['./:/run/app:ro']}}"
PASSWORDS = ["correct-horse-battery", "correct$horse-battery", 'correct"horse-battery', "correct${X}battery"]


def converted(password: str, body: dict[str, Any], text: str = TEXT) -> Stack:
    """A stack in which the topology changed the service."""
    escaped = {key: _escaped(value) for key, value in body.items()}
    document = yaml.dump({"services": {"web": escaped}})
    source = replace(
        a_source(text, files={NAME: document, "x.conf": "x"}), more=(NAME,), passwords=(password,)
    )
    return convert(a_topology(source.service), [source], ipvs=True)


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(each) for key, each in value.items()}
    return value.replace("$", "$$")


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_in_the_environment_becomes_a_secret(password: str) -> None:
    """It is in no text that others may read, as it is or as a compose file writes it."""
    made = converted(password, {"environment": {"NOTE": f"x {password}"}})
    shown = made.text + "".join(each.decode() for each in made.configs.values())
    assert "horse" not in shown
    assert "battery" not in shown
    assert any(password.encode() in content for content in made.secrets.values())


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_password_where_everybody_sees_it_is_refused(password: str) -> None:
    """A label has no secret form."""
    with pytest.raises(TopologyError) as caught:
        converted(password, {"labels": {"who": password}})
    assert "battery" not in str(caught.value)


def test_what_is_merged_is_no_file_of_the_application() -> None:
    """A container that mounts the directory sees the rendered files, and not the changes."""
    made = converted("correct-horse-battery", {"environment": {"A": "1"}})
    assert any("x.conf" in name for name in made.configs)
    assert not any("wavetank-1" in name for name in (*made.configs, *made.secrets))
