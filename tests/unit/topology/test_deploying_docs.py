"""docs/deploying.md: the part of a topology that it shows is one that can be deployed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.topology import Topology, load
from harness.topology.rendering import projects
from harness.topology.rendering.imagined import imagined

PROJECT = Path(__file__).parents[3]
COMPOSE = """\
services:
  server:
    image: judge0/judge0:1.13.1
    volumes: ["./judge0.conf:/judge0.conf:ro"]
    ports: ["2358:2358"]
    privileged: true
    restart: always
  workers:
    image: judge0/judge0:1.13.1
    command: ["./scripts/workers"]
    volumes: ["./judge0.conf:/judge0.conf:ro"]
    privileged: true
    restart: always
  db: {image: "postgres:16.2", env_file: judge0.conf, volumes: ["data:/var/lib/postgresql/data/"]}
  redis: {image: "redis:7.2.4", env_file: judge0.conf}
volumes: {data: {}}
"""


@pytest.fixture
def shown(tmp_path: Path) -> Topology:
    """The plan's droplets and databases, with the services that the page shows."""
    page = (PROJECT / "docs/deploying.md").read_text()
    section = page[page.index("## A Judge0 without TLS") :]
    fragment = re.search(r"^```yaml\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert fragment
    whole = (PROJECT / "topologies/standard.yaml").read_text()
    (tmp_path / "judge0").mkdir()
    (tmp_path / "judge0/docker-compose.yml").write_text(COMPOSE)
    (tmp_path / "judge0/judge0.conf").write_text("REDIS_HOST=redis\n")
    file = tmp_path / "mine.yaml"
    file.write_text(whole[: whole.index("app: app\n")] + fragment[1])
    return load(file)


@pytest.mark.parametrize(("number", "node", "name"), [(0, "server-1", "server"), (1, "worker-2", "workers")])
def test_a_judge0_without_tls_has_a_tunnel_and_no_file_of_other_values(
    shown: Topology, number: int, node: str, name: str
) -> None:
    """Redis is where the tunnel is, and PostgreSQL where it is managed."""
    project = projects.node_project(shown, imagined(shown), shown.services[number], node).project
    assert project.started == (name, "valkey-tls-tunnel")
    body = project.running()[name]
    assert (body["environment"]["REDIS_HOST"], body["environment"]["REDIS_PORT"]) == ("valkey", "6379")
    assert body["environment"]["POSTGRES_HOST"] == "db.example"
    assert "volumes" not in body
    assert project.running()["valkey-tls-tunnel"]["networks"]["default"]["aliases"] == ["valkey"]
