"""Which images are built before there is a deployment."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deploy_helpers import topology

from harness.core import yaml
from harness.core.progress import Progress
from harness.topology.model import BuildChange, Changes, Service, Topology

deployer = importlib.import_module("harness.deploy.deploy")  # as an attribute, it is the function

ADDRESS = "http://{{ nodes.server.private_ip }}"


@pytest.fixture
def gathered(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The services whose images were gathered."""
    found: list[str] = []

    def gather(services: Sequence[Service], apps: Mapping[str, Any], _: Progress) -> Mapping[str, Any]:
        found.extend(each.name for each in services)
        assert list(apps) == found
        return {}

    def read_apps(read: Topology) -> dict[str, None]:
        return dict.fromkeys(each.name for each in read.services)

    monkeypatch.setattr(deployer, "gather", gather)
    monkeypatch.setattr(deployer, "read_apps", read_apps)
    return found


def override(body: Any) -> Changes:
    """What is merged in last says this of the compose service ``a``."""
    return Changes(override={"services": {"a": body}})


@pytest.mark.parametrize(
    "changes",
    [
        Changes(build={"a": BuildChange(arguments={"X": "1", "API": ADDRESS})}),
        Changes(build={"a": BuildChange(), "b": BuildChange(target="{{ role }}")}),
        Changes(build={"a": BuildChange(context="{% if nodes.server %}a{% else %}b{% endif %}")}),
        override({"build": {"args": {"API": ADDRESS}}}),
        override({"build": {"args": [f"API={ADDRESS}"]}}),
        override({"build": "{{ directory }}"}),
        override(yaml.Tagged(yaml.OVERRIDE, {"build": yaml.Tagged(yaml.OVERRIDE, {"target": "{{ x }}"})})),
    ],
)
def test_what_is_built_with_values_of_a_deployment_waits_for_it(
    gathered: list[str], changes: Changes
) -> None:
    """Built with made-up values it would be thrown away, or fail."""
    service = Service("web", ("n",), Path("docker-compose.yml"), (), {}, (), "", changes)
    deployer.prepare_images(
        replace(topology(), services=(service, replace(service, name="plain", changes=Changes()))),
        progress=Progress(quiet=True),
    )
    assert gathered == ["plain"]


@pytest.mark.parametrize(
    "changes",
    [
        Changes(build={"a": BuildChange(target="prod", arguments={"X": "{1}"})}),
        Changes(environment={"a": {"API": ADDRESS}}),
        override({"build": {"args": {"X": 1, "Y": None}}, "command": ["serve", ADDRESS]}),
        override({"build": yaml.Tagged(yaml.RESET, None)}),
        override(yaml.Tagged(yaml.RESET, None)),
        Changes(override={"services": None}),
        Changes(override={"x-build": {"build": ADDRESS}}),
    ],
)
def test_what_is_built_without_them_does_not_wait(gathered: list[str], changes: Changes) -> None:
    """Expressions elsewhere do not change an image."""
    service = Service("web", ("n",), Path("docker-compose.yml"), (), {}, (), "", changes)
    deployer.prepare_images(replace(topology(), services=(service,)), progress=Progress(quiet=True))
    assert gathered == ["web"]
