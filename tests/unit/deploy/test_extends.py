"""A compose file may extend another one; both go to the node without their networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.compose import read
from harness.core.errors import TopologyError
from harness.deploy.bundle import Bundle, make_bundle
from harness.topology.model import Service

COMPOSE = """\
services:
  web:
    image: web:1
    extends: {file: common.yml, service: base}
"""
COMMON = """\
services:
  base:  # shared
    networks: [editor-mini-private]
    restart: always
networks:
  editor-mini-private: {}
"""


def bundle(directory: Path) -> Bundle:
    compose = directory / "docker-compose.yml"
    service = Service("web", ("node",), compose, (), {}, (), "")
    return make_bundle(service, "node", {compose.name: COMPOSE}, read(compose, text=COMPOSE), {})


def test_the_extended_file_goes_along_without_its_networks(tmp_path: Path) -> None:
    """Nothing but the networks is missing from it."""
    (tmp_path / "common.yml").write_text(COMMON)
    shipped = {entry.name: entry.data.decode() for entry in bundle(tmp_path).entries}
    assert shipped["common.yml"] == "services:\n  base:  # shared\n    restart: always\n"


def test_an_extended_file_that_is_missing_is_named(tmp_path: Path) -> None:
    """The error says which file, and in which compose file it is wanted."""
    with pytest.raises(TopologyError, match=r"there is no .*common\.yml") as caught:
        bundle(tmp_path)
    assert caught.value.field == "services.web.extends"
