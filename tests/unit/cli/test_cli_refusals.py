"""Wrong usage, wrong input, nobody to ask, nothing to reach: a message, an exit code, and nothing made."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests_cli import OPERATOR, Outcome, Stage

from harness.run import lock, up
from harness.run.rundir import RunDir
from harness.run.settings import PROJECT
from harness.target import emulator_process

Wavetank = Callable[..., Outcome]


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["up", "--wings"],
        ["up", "--target=moon"],
        ["up", "--run=Not_A_Name"],
        ["up", "--topology=unknown"],
        ["up", "--app=/no/such/directory"],
        ["up", "--max-cost=-1"],
        ["run", "--keep=perhaps"],
        ["sweep", "--older-than=soon"],
        ["sweep"],
        ["ssh"],
        ["emulator", "fly"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_4(wavetank: Wavetank, arguments: list[str]) -> None:
    """Whatever is wrong with a command line, the exit code is 4 and stderr says what."""
    done = wavetank(*arguments)
    assert done.code == 4
    assert done.err.strip()
    assert done.out == ""
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "command", [["verify"], ["ssh", "runner"], ["exec", "--all", "ls"], ["logs"], ["down"]]
)
def test_without_a_run_it_says_how_to_make_one(
    wavetank: Wavetank, tmp_path: Path, command: list[str]
) -> None:
    """Commands on a deployment name ``wavetank up`` where there is none, and start no emulator."""
    done = wavetank(*command, f"--state-dir={tmp_path}")
    assert done.code == 4
    assert "wavetank up" in done.err
    assert list(tmp_path.iterdir()) == []


def test_status_of_nothing(wavetank: Wavetank, tmp_path: Path) -> None:
    """Where nothing was ever stood up, that is what ``status`` says, and it starts nothing to say so."""
    done = wavetank("status", f"--state-dir={tmp_path}", "-o", "json")
    assert (done.code, json.loads(done.out)) == (0, {"run": None, "runs": []})
    assert list(tmp_path.iterdir()) == []


def test_status_of_a_run_that_does_not_exist(wavetank: Wavetank, tmp_path: Path) -> None:
    """A run that is named and does not exist is an error that says which there are."""
    done = wavetank("status", f"--state-dir={tmp_path}", "--run=nobody")
    assert done.code == 4
    assert "there is no run 'nobody' on local; existing runs: none" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_malformed_topology_is_reported_with_its_line(wavetank: Wavetank, tmp_path: Path) -> None:
    """A topology file that is wrong is refused before anything starts: file, line, remedy."""
    file = tmp_path / "mine.yaml"
    text = (PROJECT / "topologies/standard.yaml").read_text()
    file.write_text(text.replace("from: [client]", "from: [cleint]", 1))
    done = wavetank("up", f"--topology={file}", f"--state-dir={tmp_path / 'state'}")
    assert done.code == 4
    assert f"{file}:" in done.err
    assert "'cleint'" in done.err
    assert "remedy" in done.err
    assert not (tmp_path / "state").exists()


def test_an_engine_that_does_not_run(
    wavetank: Wavetank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an engine ``up`` ends with 3 and says which engine it looked for."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    monkeypatch.delenv("WAVETANK_PLANE", raising=False)
    done = wavetank("up", f"--state-dir={tmp_path / 'state'}", OPERATOR)
    assert done.code == 3
    assert "nobody.sock" in done.err or "Docker" in done.err


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("the disk is nearly full: 0.5 GiB are free, 2 GiB are needed", "disk is nearly full"),
        ("droplet:1 stopped while it booted (exit 137)", "exit 137"),
    ],
)
def test_a_machine_that_cannot_be_made(
    wavetank: Wavetank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str, said: str
) -> None:
    """``up`` ends with 3, names the droplet and says why; no run and no emulator are left."""
    monkeypatch.setenv("WAVETANK_PLANE", "memory")
    monkeypatch.setenv("WAVETANK_MEMORY_FAULTS", json.dumps({"droplet:worker-1": fault}))
    monkeypatch.setattr(up, "prepare_images", lambda *_, **__: None)
    monkeypatch.setattr(up, "gather_logs", lambda *_: None)
    state_dir = tmp_path / "state"
    try:
        done = wavetank("up", f"--state-dir={state_dir}", OPERATOR)
        assert done.code == 3
        assert "droplet 'worker-1'" in done.err
        assert said in done.err
        assert not (state_dir / "emulator").exists()
    finally:
        emulator_process.stop(state_dir, destroy=True)


def test_an_engine_that_one_may_not_use(tmp_path: Path) -> None:
    """Somebody outside of the group ``docker`` is told of it."""
    script = (
        "import os, sys, docker; from emulator.docker.engine import connect;"
        "os.getuid() or os.setuid(65534); connect()"
    )
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind(str(tmp_path / "docker.sock"))
        engine.listen()
        (tmp_path / "docker.sock").chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "DOCKER_HOST": f"unix://{tmp_path}/docker.sock"},
            cwd=PROJECT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert "Permission denied" in done.stderr
    assert "group `docker`" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("command", ["up", "down"])
def test_a_run_that_another_process_works_on(stage: Stage, command: str) -> None:
    """It is left to that process: exit code 4, and the message says which one it is."""
    run_dir = RunDir(stage.state_dir, "busy")
    run_dir.create()
    with lock.locked(run_dir):
        done = stage.wavetank(command, "--target=do", "--run=busy", f"--state-dir={stage.state_dir}")
    assert done.code == 4
    assert f"run 'busy' is locked by process {os.getpid()}" in done.err


def test_a_missing_token(wavetank: Wavetank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token the cloud is not even asked."""
    monkeypatch.delenv("DIGITALOCEAN_TOKEN", raising=False)
    done = wavetank("up", "--target=do", f"--state-dir={tmp_path}")
    assert done.code == 4
    assert "DIGITALOCEAN_TOKEN" in done.err


def test_a_refused_token(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that the API refuses is named as the cause, and not shown."""
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "dop_v1_not_it")
    done = stage.wavetank("up", "--target=do", "--yes", f"--state-dir={stage.state_dir}")
    assert done.code == 4
    assert "refused the token" in done.err
    assert "dop_v1_not_it" not in done.err


def test_an_api_that_is_not_there(
    wavetank: Wavetank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody at the endpoint is 3: could not reach."""
    monkeypatch.setenv("DIGITALOCEAN_TOKEN", "t")
    done = wavetank("price", "--target=do", "--endpoint=https://127.0.0.1:9", f"--state-dir={tmp_path}")
    assert done.code == 3
    assert "https://127.0.0.1:9" in done.err


def test_nobody_to_agree_to_the_price(stage: Stage) -> None:
    """Without a terminal and without --yes nothing is made; the price is told."""
    done = stage.wavetank("up", "--target=do", f"--state-dir={stage.state_dir}")
    assert done.code == 4
    assert "an hour" in done.err
    assert "--yes" in done.err
    assert not (stage.state_dir / "runs").exists()


def test_too_dear(stage: Stage) -> None:
    """``--max-cost`` holds even where the price was agreed to beforehand."""
    done = stage.wavetank("up", "--target=do", "--yes", "--max-cost=0.01", f"--state-dir={stage.state_dir}")
    assert done.code == 4
    assert "more than --max-cost 0.01" in done.err


def test_an_unknown_size(stage: Stage, tmp_path: Path) -> None:
    """A droplet size that the API does not list is refused before anything is made."""
    file = tmp_path / "mine.yaml"
    text = (PROJECT / "topologies/standard.yaml").read_text().replace("s-2vcpu-4gb", "s-3vcpu-9gb")
    file.write_text(text.replace("app: app", f"app: {PROJECT}/topologies/app"))
    done = stage.wavetank(
        "up", "--target=do", "--yes", f"--topology={file}", f"--state-dir={stage.state_dir}"
    )
    assert done.code == 4
    assert "s-3vcpu-9gb" in done.err


def test_price_by_the_apis_list(stage: Stage) -> None:
    """``price`` adds up droplets and databases."""
    done = stage.wavetank("price", "--target=do", "-o", "json", f"--state-dir={stage.state_dir}")
    told = json.loads(done.out)
    assert done.code == 0
    assert len(told["items"]) == 10
    assert told["hourly"] == pytest.approx(sum(item["hourly"] for item in told["items"]), abs=1e-4)


def test_debug_shows_where(wavetank: Wavetank, tmp_path: Path) -> None:
    """``--debug`` adds the traceback that is left out otherwise."""
    done = wavetank("--debug", "verify", f"--state-dir={tmp_path}")
    assert done.code == 4
    assert "Traceback" in done.err


def test_help_imports_next_to_nothing() -> None:
    """``wavetank --help`` answers at once, for it loads nothing that a command needs only when it runs."""
    script = (
        "import sys; from harness.cli.main import run; run(['--help']);"
        "heavy = {'pydo', 'httpx', 'pydantic', 'jinja2', 'ruamel', 'pytest', 'testinfra'};"
        "sys.exit(', '.join(heavy & set(sys.modules)) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Usage: wavetank" in done.stdout


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        (
            "harness.cli.main, harness.target.emulator_process, harness.core.progress",
            "httpx cryptography pydantic jinja2 ruamel",
        ),
        (
            "emulator.__main__, emulator.planes.memory, emulator.api.server",
            "harness.topology docker httpx jinja2",
        ),
        ("emulator.__main__, emulator.docker.plane", "harness.topology pydantic uvicorn cryptography httpx"),
    ],
)
def test_starting_the_emulator_imports_little(modules: str, heavy: str) -> None:
    """Importing is most of what a start takes: nothing comes along that only something else needs."""
    script = f"import sys, {modules}; sys.exit(', '.join(set({heavy.split()}) & set(sys.modules)) or None)"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_checks_need_a_target() -> None:
    """``pytest harness/checks`` without a target refuses to check nothing."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "harness/checks"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert "--target=local|do" in done.stderr


def test_checks_need_a_deployment(tmp_path: Path) -> None:
    """``pytest --target=local`` with nothing up says how to get something up."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--target=local"]
    command.append(f"--state-dir={tmp_path}")
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 4
    assert "wavetank up" in done.stderr
