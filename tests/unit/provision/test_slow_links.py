"""Links are made worse and perfect again, by the library, by hand and by ``up``."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from small_topology import PUBLIC_KEY, QUIET, Serve, make_topology

from harness import provision
from harness.cli import main
from harness.core.errors import ApiError, UsageError, WaitTimeoutError
from harness.faults import link as links
from harness.faults.link import PERFECT, Quality
from harness.run import up
from harness.run.rundir import RunDir
from harness.run.settings import Choice, Settings, load_topology, topology_file
from harness.target.target import Target
from harness.topology.deployment import Deployment

SLOW = Quality(20, 5, 0.5)


def stand(target: Target, topology: Any = None) -> Deployment:
    """A run that stands."""
    made = topology or make_topology()
    return provision.provision(target, made, "a", public_key=PUBLIC_KEY, progress=QUIET)


def test_links_are_worse_as_long_as_a_block_runs(serve: Serve) -> None:
    """And perfect afterwards, also where the block fails; other nodes' are all the time."""
    target = serve()
    deployment = stand(target)

    def lasts() -> None:
        with links.shaped(target, deployment, {"web": SLOW}):
            assert links.read(target, deployment) == {"web": SLOW, "api": PERFECT}
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        lasts()
    assert links.read(target, deployment) == {"web": PERFECT, "api": PERFECT}


def test_what_was_left_worse_is_mended(serve: Serve) -> None:
    """By whoever comes next; where nothing was, nobody looks at the deployment."""
    target = serve()
    deployment = stand(target)
    links.shape(target, deployment, "api", SLOW)
    assert links.restore(target, lambda: deployment) == ("api",)
    assert links.restore(target, lambda: pytest.fail("looked")) == ()
    assert links.read(target, deployment)["api"] == PERFECT


def test_up_mends_links(serve: Serve, tmp_path: Path) -> None:
    """Of a run that stood before."""
    target = serve()
    topology = make_topology()
    deployment = stand(target, topology)
    links.shape(target, deployment, "web", SLOW)
    choice = Choice("local", "small", None, RunDir(tmp_path, "a"), Settings())
    plan = provision.plan(target, topology, "a")
    up.restore_links(up.Prepared(choice, target, topology, plan, existed=True), QUIET)
    assert links.read(target, deployment)["web"] == PERFECT


def test_a_refusal_of_the_emulator_is_told(serve: Serve) -> None:
    """In its own words."""
    target = serve(netem="no netem here")
    deployment = stand(target)
    with pytest.raises(ApiError, match="no netem here"):
        links.shape(target, deployment, "web", SLOW)
    links.shape(target, deployment, "web", PERFECT)


def test_an_action_in_progress_is_waited_for(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to a deadline, whose error says what it was."""
    target = serve()
    deployment = stand(target)
    monkeypatch.setattr(links, "SECONDS", 0.2)
    answers = iter([409, 409])

    def ask(_emulator: object, method: str, path: str, _body: object = None) -> dict[str, Any]:
        status = next(answers, 200)
        if status == 409:
            raise ApiError(f"{method} {path}", 409, "conflict", "pending event")
        return {}

    with monkeypatch.context() as patch:
        patch.setattr(links.EmulatorApi, "ask", ask)
        links.shape(target, deployment, "web", SLOW)
        answers = iter([409] * 100)
        with pytest.raises(WaitTimeoutError, match="pending event"):
            links.shape(target, deployment, "web", SLOW)


@pytest.mark.parametrize(
    ("info", "reason"),
    [
        ({}, "only an emulator"),
        ({"plane": "docker", "capabilities": {"netem": False}}, "kernel has no netem"),
        ({"plane": "docker", "capabilities": {}}, "kernel has no netem"),
        ({"plane": "docker", "capabilities": {"netem": True}}, ""),
    ],
)
def test_a_target_that_cannot_says_why(target: Target, info: dict[str, Any], reason: str) -> None:
    """Before it is asked."""
    given = replace(target, info=info)
    assert reason in links.refusal(given)
    if reason:
        with pytest.raises(UsageError, match=f"web: .*{reason}"):
            links.shape(given, Deployment("a", "", "", {}, {}), "web", SLOW)


@pytest.mark.parametrize(
    ("quality", "words"),
    [
        (PERFECT, "perfect"),
        (Quality(20), "20 ms late"),
        (Quality(20.5, 5), "20.5 ms late (give or take 5 ms)"),
        (Quality(20, 0, 0.5), "20 ms late, 0.5 % lost"),
        (Quality(loss_percent=100), "100 % lost"),
    ],
)
def test_a_quality_is_told_in_words(quality: Quality, words: str) -> None:
    """As the command line shows it."""
    assert str(quality) == words


def test_by_hand(serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Shown, made worse, and cleared: one node's or everybody's."""
    target = serve()
    topology = load_topology(
        Choice("local", str(topology_file("standard")), None, RunDir(tmp_path, "a"), Settings())
    )
    stand(target, topology)

    def wavetank(*words: str) -> tuple[int, str]:
        state = ("--target=local", "--run=a", f"--state-dir={tmp_path / 'state'}")
        code = main.run(["link", *words, *state])
        told = capsys.readouterr()
        return code, told.out + told.err

    assert wavetank("runner") == (0, "runner: perfect\n")
    assert wavetank("runner", "--delay=0.02s", "--loss=1%") == (0, "runner: 20 ms late, 1 % lost\n")
    code, told = wavetank("-o", "json")
    assert code == 0
    shown = json.loads(told)["links"]
    assert shown.pop("runner") == {"delay_ms": 20.0, "jitter_ms": 0.0, "loss_percent": 1.0}
    assert set(map(json.dumps, shown.values())) == {json.dumps(dict.fromkeys(PERFECT.__dict__, 0.0))}
    code, told = wavetank("--clear")
    assert (code, "runner: perfect" in told, "late" in told) == (0, True, False)
    code, told = wavetank("runer", "--delay=20ms")
    assert (code, "no node 'runer'; existing nodes: " in told) == (4, True)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--delay=20ms"], "give the node"),
        (["web", "--delay=20"], "'20' is not a delay"),
        (["web", "--loss=1"], "'1' is not a packet loss"),
        (["web", "--loss=101%"], "'101%' is not a packet loss"),
        (["web", "--delay=11s"], "at most 10s"),
        (["web", "--delay=1ms", "--jitter=2ms"], "--jitter is more than --delay"),
        (["web", "--clear", "--delay=1ms"], "--clear removes delay and loss"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is reached."""
    assert main.run(["link", *words, f"--state-dir={tmp_path}"]) == 4
    assert told in capsys.readouterr().err
