"""What is asked of the guest, what it takes of this machine, and what it gets of the project."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.compose import binary
from harness.core.errors import CommandError, EngineError, UsageError
from harness.core.names import RUN_PATTERN, check_databases
from harness.core.paths import CHECKS
from harness.core.progress import Progress
from harness.run.rundir import RunDir
from harness.run.settings import PROJECT
from harness.vm import flow, guest, inside, preflight, project, root
from harness.vm.__main__ import entry
from harness.vm.command import run
from harness.vm.disk import make_disk
from harness.vm.flow import Order, command, environment, name_for
from harness.vm.guest import Guest, make_keys
from harness.vm.machine import Running

PASSING = Order("swarm", Path(".wavetank"), patience=8)


def test_a_run_of_the_topology_is_what_runs_there() -> None:
    """Named like the run here, with the topology's file as it lies in the project."""
    argv = command(PASSING, "swarm-vm-1")
    assert argv[:4] == ("python3", "-m", "harness", "run")
    assert "--topology=topologies/swarm.yaml" in argv
    assert "--run=swarm-vm-1" in argv


def test_checks_are_picked_as_by_the_run_itself() -> None:
    """By name, and whether power is taken."""
    picked = command(replace(PASSING, keyword="mesh or wire", faults=False), "x")
    assert picked[-3:] == ("-k", "mesh or wire", "--no-faults")
    assert not {"-k", "--faults", "--no-faults"} & set(command(PASSING, "x"))


def test_a_command_of_ones_own_runs_instead() -> None:
    """As it is."""
    assert command(Order("swarm", Path(), command=("ls", "-l")), "x") == ("ls", "-l")


def test_deadlines_inside_are_stretched() -> None:
    """The harness's, and pytest's for each check."""
    told = environment(PASSING)
    assert told["WAVETANK_TIMEOUT_SCALE"] == "8"
    assert told["PYTEST_TIMEOUT"] == str(8 * flow.CHECK_SECONDS)


def test_the_project_and_its_images_are_found_inside() -> None:
    """From any directory, and where the saved images were put."""
    told = environment(PASSING)
    assert told["PYTHONPATH"] == inside.GUEST_PROJECT
    assert f"{told['XDG_CACHE_HOME']}/wavetank/images" == f"{inside.GUEST_PROJECT}/{project.IMAGES}"


def test_what_is_installed_is_no_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine is made from a clone, tests and all."""
    monkeypatch.setattr(preflight, "PROJECT", tmp_path)
    with pytest.raises(UsageError, match="a clone of the project"):
        preflight.require(1)


def test_pytest_gives_a_check_as_long() -> None:
    """The number is the checks' own."""
    assert f"timeout = {flow.CHECK_SECONDS}\n" in (CHECKS / "checks.ini").read_text()


@pytest.mark.parametrize("topology", ["swarm", "topologies/swarm-encrypted.yaml"])
def test_the_name_is_a_runs(topology: str) -> None:
    """With room for its databases' host names, however long the topology's is."""
    name = name_for(topology)
    assert RUN_PATTERN.fullmatch(name)
    assert "-vm-" in name
    check_databases(name, ["mongo", "postgres", "valkey"])


def test_a_topology_from_elsewhere_is_refused(tmp_path: Path) -> None:
    """Only the project is copied into the machine, and the error says so."""
    file = tmp_path / "mine.yaml"
    file.touch()
    with pytest.raises(UsageError, match=r"mine\.yaml is not inside"):
        command(Order(str(file), Path()), "x")


def test_the_project_is_copied_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of images are hashes of directories: dot files, modes and times in them count."""
    source, app = tmp_path / "project", tmp_path / "project/topologies/app"
    app.mkdir(parents=True)
    (source / ".git").mkdir()
    (source / ".venv").mkdir()
    (app / ".dockerignore").write_text("x")
    (app / "run").write_text("y")
    (app / "run").chmod(0o750)
    os.utime(app / "run", (1, 1))
    saved = tmp_path / "0123.tar.zst"
    saved.write_text("layers")
    monkeypatch.setattr(project, "PROJECT", source)
    into = tmp_path / "staged"
    project.stage(into)
    project.add_images(into, [saved])
    copied = into / "topologies/app"
    assert {each.name for each in copied.iterdir()} == {".dockerignore", "run"}
    assert (copied / "run").stat().st_mode & 0o777 == 0o750
    assert (copied / "run").stat().st_mtime == 1
    assert sorted(each.name for each in into.iterdir()) == [".cache", "topologies"]
    assert (into / project.IMAGES / "0123.tar.zst").read_text() == "layers"


def test_the_guest_has_the_program_that_reads_compose_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no network to get one, and no plugin of its own."""
    program = tmp_path / "any-name"
    program.write_text("#!/bin/sh\necho 2.26.1-4\n")
    program.chmod(0o755)
    project.add_compose(tmp_path / "project", program)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "project" / project.CACHE))
    monkeypatch.setattr(binary, "PLUGINS", ())
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "none"))
    binary.find.cache_clear()
    found = binary.find()
    binary.find.cache_clear()
    assert found == tmp_path / "project" / project.COMPOSE / "docker-compose-2.26.1"
    assert found.read_text() == program.read_text()


def test_what_the_project_needs_is_installed_there() -> None:
    """Its dependencies, what its pytest settings name among them; not what developers check style with."""
    needed = [each.split(">")[0].split("[")[0] for each in root.requirements(PROJECT / "pyproject.toml")]
    assert {"pydo", "pytest", "pytest-timeout", "httpx"} <= set(needed)
    assert not {"ruff", "mypy", "tox"} & set(needed)


def test_another_file_of_the_guest_makes_another_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a change of it would never get into the machine."""
    copied = tmp_path / "guest_root"
    shutil.copytree(root.GUEST, copied)
    monkeypatch.setattr(root, "GUEST", copied)
    before = root.identity()
    (copied / "etc/motd").write_text("hello\n")
    assert root.identity() != before


def test_a_directory_becomes_a_file_system(tmp_path: Path) -> None:
    """With its files in it, in a file that takes hardly any room."""
    if shutil.which("mke2fs") is None or shutil.which("debugfs") is None:
        pytest.skip("there is no mke2fs here")
    source, image = tmp_path / "source", tmp_path / "image"
    (source / "etc").mkdir(parents=True)
    (source / "etc/name").write_text("wavetank\n")
    make_disk(source, image, gigabytes=1, label="test")
    assert image.stat().st_size == 2**30
    assert image.stat().st_blocks * 512 < 2**27
    assert run(["debugfs", "-R", "cat /etc/name", str(image)], deadline=20) == "wavetank\n"


def test_a_machine_without_the_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """How much there is, and what to do."""
    monkeypatch.setattr(preflight.os, "getuid", lambda: 0)
    monkeypatch.setattr(preflight.shutil, "which", lambda name: name)
    with pytest.raises(EngineError, match="--memory"):
        preflight.require(10**9)


def test_missing_programs_are_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them at once."""
    monkeypatch.setattr(preflight.os, "getuid", lambda: 0)
    monkeypatch.setattr(preflight.shutil, "which", lambda name: None if name == "mke2fs" else name)
    with pytest.raises(EngineError, match=r"mke2fs; run `harness/setup\.sh --vm`"):
        preflight.require(1)


def test_a_program_that_fails_is_told_with_what_it_said() -> None:
    """And the command, ready to paste."""
    with pytest.raises(CommandError, match=r"(?s)exit 3.*no such thing"):
        run(["sh", "-c", "echo no such thing >&2; exit 3"], deadline=20)


class HereGuest(Guest):
    """A guest that is this machine: what would go over ssh is run by a shell."""

    def argv(self, script: str) -> list[str]:
        return ["sh", "-c", script]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HereGuest:
    """Its project lies in a directory of the test's."""
    there = tmp_path / "there"
    there.mkdir()
    monkeypatch.setattr(inside, "GUEST_PROJECT", str(there))
    return HereGuest(tmp_path, make_keys(), 1)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """A machine that runs."""
    with subprocess.Popen(["sleep", "600"]) as process:
        yield Running(process, 1, tmp_path / "console.log")
        process.kill()


def follow(running: Running, here: HereGuest, log: Path, script: str, deadline: float = 60) -> int:
    return inside.follow(running, here, ["sh", "-c", script], {"WORD": "said"}, log, deadline=deadline)


def test_what_runs_there_is_heard_and_its_exit_code_is_ours(
    running: Running, here: HereGuest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """On stderr while it runs, and in the log."""
    log = tmp_path / "vm.log"
    assert follow(running, here, log, "echo $WORD in $PWD; exit 2") == 2
    assert log.read_text() == f"said in {tmp_path}/there\n"
    assert capfd.readouterr().err == log.read_text()


def test_a_connection_that_is_lost_is_no_verdict(running: Running, here: HereGuest, tmp_path: Path) -> None:
    """ssh's own exit code is not the run's."""
    with pytest.raises(EngineError, match="connection to the guest was lost"):
        follow(running, here, tmp_path / "vm.log", "exit 255")


def test_a_machine_that_ends_meanwhile_is_told(here: HereGuest, tmp_path: Path) -> None:
    """Rather than waited for."""
    process = subprocess.Popen(["false"])
    process.wait()
    with pytest.raises(EngineError, match="the virtual machine ended"):
        follow(Running(process, 1, tmp_path / "console"), here, tmp_path / "vm.log", "sleep 600")


def test_the_report_is_brought_out(here: HereGuest, tmp_path: Path) -> None:
    """What there is of it: a run that failed early has no junit.xml."""
    there = tmp_path / "there/.wavetank/runs/swarm-vm-1"
    (there / "logs").mkdir(parents=True)
    (there / "report.json").write_text("{}")
    (there / "id_ed25519").write_text("secret")
    (there / "logs/client.log").write_text("hello")
    run_dir = RunDir(tmp_path / "state", "swarm-vm-1")
    run_dir.create()
    inside.fetch_results(here, run_dir)
    assert run_dir.report.read_text() == "{}"
    assert (run_dir.logs / "client.log").read_text() == "hello"
    assert not run_dir.private_key.exists()


def test_a_command_that_wrote_no_report_leaves_none(here: HereGuest, tmp_path: Path) -> None:
    """That is no error."""
    run_dir = RunDir(tmp_path / "state", "swarm-vm-1")
    run_dir.create()
    inside.fetch_results(here, run_dir)
    assert list(run_dir.path.iterdir()) == []


def test_the_guests_keys_are_known_before_it_boots(tmp_path: Path) -> None:
    """So that nobody else can answer in its place."""
    keys = make_keys()
    told = Guest(tmp_path, keys, 2222)
    assert (tmp_path / "vm_known_hosts").read_text() == f"{guest.ALIAS} {keys.host_public}\n"
    assert (tmp_path / "vm_ed25519").stat().st_mode & 0o777 == 0o600
    argv = shlex.join(told.argv("true"))
    assert "StrictHostKeyChecking=yes" in argv
    assert "-p 2222 root@127.0.0.1" in argv
    assert keys.seed()["root/.ssh/authorized_keys"][1].startswith(b"ssh-ed25519 ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--patience", "0.5"], "patience"), (["--topology", "nothing-like-it"], "unknown topology")],
)
def test_wrong_usage_is_told(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With exit code 4, before anything is made."""
    monkeypatch.setattr(flow, "require", lambda memory: None)
    assert entry(arguments) == 4
    assert said in capsys.readouterr().err


def test_being_stopped_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With the exit code that shells expect."""

    def stop(order: Order, progress: Progress) -> int:
        del order, progress
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.vm.__main__.run", stop)
    assert entry([]) == 130
    assert "stopped by SIGINT" in capsys.readouterr().err


def test_engines_of_droplets_begin_with_the_application() -> None:
    """The emulator inside is told where the images are that nobody need send to droplets."""
    assert environment(Order("swarm", Path()))["WAVETANK_ENGINE_SEED"] == "/var/lib/docker/wavetank-seed"
