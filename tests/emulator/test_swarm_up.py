"""A small swarm through the command line: stood up, left alone, scaled, and broken.

One swarm for all of these, each of which leaves it as the plan says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_plan import COMPOSE, DOCKERFILE, SERVER, Shell, shell

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

RUN = "small-swarm"
SECRET = "not-to-be-seen-anywhere"

PLAN = """\
schema: wavetank/topology/v1
name: small-swarm
region: fra1
defaults: {size: s-1vcpu-1gb, image: ubuntu-24-04-x64}
droplets: {boss: {}, hand-1: {role: hand}, hand-2: {role: hand}}
management: {bastion: boss, operators: [self]}
firewalls:
  boss:
    droplets: [boss]
    inbound:
      - {protocol: tcp, ports: "2377", from: [hand]}
    outbound: []
  hands:
    droplets: [hand]
    inbound: []
    outbound:
      - {protocol: tcp, ports: "2377", to: [boss]}
  members:
    droplets: [boss, hand]
    inbound:
      - {protocol: tcp, ports: "7946", from: [boss, hand]}
      - {protocol: udp, ports: "7946", from: [boss, hand]}
      - {protocol: udp, ports: "4789", from: [boss, hand]}
    outbound:
      - {protocol: tcp, ports: "7946", to: [boss, hand]}
      - {protocol: udp, ports: "7946", to: [boss, hand]}
      - {protocol: udp, ports: "4789", to: [boss, hand]}
intent:
  - {from: hand, to: boss, tcp: [2377, 7946], udp: [7946, 4789]}
  - {from: boss, to: hand, tcp: [7946], udp: [7946, 4789]}
  - {from: hand, to: hand, tcp: [7946], udp: [7946, 4789]}
app: app
swarm:
  managers: [boss]
  stack: small
  network: {name: small-net}
  services:
    hello:
      droplets: [hand]
      compose: docker-compose.yml
      replicas: 2
      environment: {CACHE_HOST: "plain", DOOR_PASSWORD: "SECRET"}
""".replace("SECRET", SECRET)
# What it answers proves that plain and secret variables arrived; told to, it ends at once.
DOOR = SERVER.replace("cache is $ENV{CACHE_HOST}", "$ENV{CACHE_HOST} and $ENV{DOOR_PASSWORD}").replace(
    "$SIG{TERM}", 'if ($ENV{CACHE_HOST} eq "broken") { print STDERR "no such cache\\n"; exit 3 }\n$SIG{TERM}'
)
ASK = "exec 3<>/dev/tcp/hello/8080; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; cat <&3"


def write(directory: Path, **changes: str) -> Path:
    """The plan, with words replaced, and its application."""
    app = directory / "app"
    app.mkdir(parents=True, exist_ok=True)
    (app / "docker-compose.yml").write_text(COMPOSE)
    (app / "Dockerfile").write_text(DOCKERFILE)
    (app / "serve.pl").write_text(DOOR)
    text = PLAN
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    plan = directory / "small-swarm.yaml"
    plan.write_text(text)
    return plan


@pytest.fixture(scope="module")
def wavetank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """The command line, once the swarm is up."""
    directory = tmp_path_factory.mktemp("swarm")
    with shell(directory / "one", write(directory)) as made:
        done = made.up("--run", RUN, "--keep", "-o", "json").end(400)
        assert done.code == 0, done.err
        yield made


def again(wavetank: Shell, *arguments: str, **changes: str) -> tuple[int, str, Any]:
    """``up`` on the same run with a changed plan, which is then as it was."""
    plan = wavetank.plan
    write(plan.parent, **changes)
    try:
        done = wavetank.up("--run", RUN, "--keep", "-o", "json", *arguments).end(400)
    finally:
        write(plan.parent)
    return done.code, done.err, json.loads(done.out) if done.out.strip() else None


def on_boss(wavetank: Shell, script: str) -> str:
    """What the manager prints."""
    done = wavetank("exec", "--run", RUN, "-o", "json", "boss", "--", script)
    assert done.code == 0, done.out + done.err
    return str(done.json[0]["output"])


def replicas(wavetank: Shell) -> tuple[int, int]:
    """How many tasks run and are to."""
    (service,) = wavetank("status", "--run", RUN, "-o", "json").json["stack"]
    return service["running"], service["desired"]


def test_services_run_where_they_may(wavetank: Shell) -> None:
    """Two replicas, on the two droplets that the plan names."""
    shown = wavetank("status", "--run", RUN, "-o", "json").json
    assert shown["healthy"]
    assert shown["stack"] == [
        {"service": "hello", "running": 2, "desired": 2, "nodes": shown["stack"][0]["nodes"]}
    ]
    assert set(shown["stack"][0]["nodes"]) <= {"hand-1", "hand-2"}


def test_a_service_is_found_by_its_name(wavetank: Shell) -> None:
    """From one of its containers, with what plain and secret variables hold."""
    done = wavetank("exec", "--run", RUN, "--service", "hello", "--", "bash", "-c", ASK)
    assert done.code == 0, done.out + done.err
    assert f"plain and {SECRET}" in done.out


def test_a_secret_is_in_no_definition(wavetank: Shell) -> None:
    """Neither in the service nor in any config, for whoever may look at the swarm."""
    told = on_boss(
        wavetank, "docker service inspect small_hello; docker config inspect $(docker config ls -q)"
    )
    assert "small_hello" in told
    assert SECRET not in told


def test_images_are_named_by_their_id(wavetank: Shell) -> None:
    """The same bytes on every node."""
    form = "{{.Spec.TaskTemplate.ContainerSpec.Image}}"
    assert on_boss(wavetank, f"docker service inspect --format '{form}' small_hello").startswith("sha256:")


def test_a_second_up_changes_nothing(wavetank: Shell) -> None:
    """No call that changes anything, at the API or in the swarm."""
    before = on_boss(wavetank, "docker service ps -q small_hello; docker node inspect $(docker node ls -q)")
    code, said, told = again(wavetank)
    assert code == 0, said
    assert (told["changes"], told["deployed"]) == ([], [])
    after = on_boss(wavetank, "docker service ps -q small_hello; docker node inspect $(docker node ls -q)")
    assert after == before


def test_replicas_stay_as_they_were_scaled(wavetank: Shell) -> None:
    """What runs was asked for; another ``up`` of the same plan is no reason to end it."""
    try:
        done = wavetank("scale", "--run", RUN, "hello=3")
        assert done.code == 0, done.err
        assert replicas(wavetank) == (3, 3)
        code, said, _ = again(wavetank)
        assert code == 0, said
        assert replicas(wavetank) == (3, 3)
    finally:
        assert wavetank("scale", "--run", RUN, "hello=2").code == 0


def test_a_stack_that_fails_shows_its_tasks_own_words(wavetank: Shell) -> None:
    """The update goes back by itself, so the old tasks still answer."""
    code, said, _ = again(wavetank, **{'"plain"': '"broken"'})
    assert code == 3, said
    assert "no such cache" in said
    assert SECRET not in said
    done = wavetank("exec", "--run", RUN, "--service", "hello", "--", "bash", "-c", ASK)
    assert "plain and" in done.out
    code, said, _ = again(wavetank)
    assert code == 0, said
    assert replicas(wavetank) == (2, 2)
