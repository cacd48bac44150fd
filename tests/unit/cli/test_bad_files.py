"""Every file that a command reads, in every bad form: one error with file and remedy, exit code 4, at once.

None of these may wait for a pipe, read a device, write a bomb out or end in a traceback.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests_cli import OPERATOR, Outcome

from harness.compose import read
from harness.compose.reader import read_variables
from harness.core.errors import TopologyError, UsageError
from harness.run import report, settings
from harness.run.rundir import RunDir
from harness.run.settings import PROJECT
from harness.topology import load
from harness.topology.rendering import render
from harness.topology.rendering.imagined import imagined

pytestmark = pytest.mark.timeout(60)

Wavetank = Callable[..., Outcome]

ONE = """\
schema: wavetank/topology/v1
name: one
region: fra1
defaults: {size: s-1vcpu-1gb, image: ubuntu-24-04-x64}
droplets: {web: {}}
management: {bastion: web, operators: [self]}
firewalls: {front: {droplets: [web], inbound: [], outbound: []}}
intent: []
app: app
services:
  web: {droplets: [web], compose: docker-compose.yml, files: {site.conf: site.conf.j2}}
"""
BOMB = "x0: &x0 [a, a, a, a, a, a, a, a, a]\n" + "".join(
    f"x{n}: &x{n} [{', '.join([f'*x{n - 1}'] * 9)}]\n" for n in range(1, 30)
)
MERGES = "x0: &x0 {a: 1}\n" + "".join(
    f"x{n}: &x{n} {{<<: [{', '.join([f'*x{n - 1}'] * 9)}]}}\n" for n in range(1, 30)
)
CHAIN = "".join(f"x{n}: &x{n} [{f'*x{n - 1}' if n else 'a'}]\n" for n in range(500))

# What no text of ours or the user's may be, whatever its language.
NO_TEXTS = {
    "NUL": b"a: b\0\n",
    "no UTF-8": b"a: \xff\xfe\n",
    "UTF-16": "a: b\n".encode("utf-16"),
    "huge": b"x" * (65 * 1024 * 1024),
}
YAMLS = {
    "bomb": BOMB,
    "merged bomb": MERGES,
    "alias of itself": "a: &a [*a]\n",
    "mapping of itself": "&a {b: *a}\n",
    "merges itself": "a: &a {<<: *a}\n",
    "chain of aliases": CHAIN,
    "deep flow": "[" * 10_000,
    "deep flow, closed": "a: " + "[" * 10_000 + "]" * 10_000,
    "deep block": "- " * 10_000 + "a",
    "deep mappings": "\n".join(" " * n + "a:" for n in range(500)),
    "huge scalar": "a: " + "x" * 3_000_000,
    "many nodes": "- a\n" * 30_000,
    "long number": "a: 0x" + "f" * 5_000,
    "half a surrogate": 'a: "\\ud800"\n',
    "given twice": "a: 1\na: 2\n",
    "Python's tag": "a: !!python/object/apply:os.system [true]\n",
    "no number": "a: !!int many\n",
    "no boolean": "a: !!bool perhaps\n",
    "no float": "a: !!float x\n",
    "month 13": "a: 2024-13-45\n",
    "list as a key": "? [[a]]\n: b\n? {a: b}\n: c\n",
    "empty": "",
    "blank": "\n \n",
    "mark only": "\ufeff",
    "documents": "a: 1\n---\nb: 2\n",
    "directive": "%YAML 1.1\n---\na: 1:1\n",
    "list": "- a\n",
    "text": "a",
}
JSONS = {
    "deep": "[" * 100_000,
    "deep, closed": '{"a": ' + "[" * 900 + "]" * 900 + "}",
    "many": '{"a": [' + "0," * 6_000_000 + "0]}",
    "long number": '{"a": ' + "9" * 10_000 + "}",
    "half a surrogate": '{"a": "\\ud800"}',
    "given twice": '{"schema": 1, "schema": 2}',
    "empty": "",
    "mark only": "\ufeff",
    "list": "[]",
    "text": '"a"',
    "nothing": "null",
}


def directory(path: Path) -> None:
    path.mkdir()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def gigabytes(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(8 * 2**30)


def forbidden(path: Path) -> None:
    path.write_text("a: 1\n")
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("root may read everything")


def content(text: str | bytes) -> Callable[[Path], None]:
    data = text if isinstance(text, bytes) else text.encode()
    return lambda path: path.write_bytes(data) and None


NO_FILES = {"directory": directory, "pipe": pipe, "device": device, "loop": loop, "forbidden": forbidden}
FILES = {**NO_FILES, "gigabytes": gigabytes} | {name: content(each) for name, each in NO_TEXTS.items()}
OF_YAML = FILES | {name: content(each) for name, each in YAMLS.items()}
OF_JSON = FILES | {name: content(each) for name, each in JSONS.items()}


def kinds(found: dict[str, Callable[[Path], None]], *left_out: str) -> pytest.MarkDecorator:
    """A parameter ``spoil`` for each kind."""
    given = {name: each for name, each in found.items() if name not in left_out}
    return pytest.mark.parametrize("spoil", given.values(), ids=given.keys())


@pytest.fixture
def refused(wavetank: Wavetank, tmp_path: Path) -> Callable[..., Outcome]:
    """Run a command that must refuse the file."""

    def call(file: Path, *arguments: object) -> Outcome:
        done = wavetank(*arguments)
        assert done.code == 4, done.err[-2000:]
        assert str(file) in done.err or "/dev/zero" in done.err
        assert "remedy" in done.err
        assert "Traceback" not in done.err
        assert len(done.err) < 4000
        return done

    return call


@kinds(OF_YAML)
@pytest.mark.parametrize("command", [("up", "--dry-run"), ("price",), ("stack",)], ids=" ".join)
def test_topology(
    refused: Callable[..., Outcome],
    tmp_path: Path,
    spoil: Callable[[Path], None],
    command: tuple[str, ...],
) -> None:
    """A topology's file, by its path; nothing is started for it."""
    file = tmp_path / "mine.yaml"
    spoil(file)
    refused(file, *command, f"--topology={file}", f"--state-dir={tmp_path / 'state'}")
    assert not (tmp_path / "state").exists()


@pytest.fixture
def application(tmp_path: Path) -> Path:
    """A topology of one service, beside its application."""
    app = tmp_path / "app"
    app.mkdir()
    (app / "docker-compose.yml").write_text("services: {web: {image: nginx}}\n")
    (app / "site.conf.j2").write_text("{{ node.private_ip }}\n")
    (tmp_path / "mine.yaml").write_text(ONE)
    return app


# A compose file may say nothing at all twice, and hold dates; what it says is Compose's to judge.
@kinds(OF_YAML, *NO_FILES, "directive", "no boolean", "no float", "list as a key")
def test_compose_file(
    refused: Callable[..., Outcome], tmp_path: Path, application: Path, spoil: Callable[[Path], None]
) -> None:
    """A service's compose file."""
    file = application / "docker-compose.yml"
    file.unlink()
    spoil(file)
    told = refused(file, "up", "--dry-run", f"--topology={tmp_path}/mine.yaml", f"--state-dir={tmp_path}/s")
    assert not (tmp_path / "s").exists(), told.err


@kinds(FILES, *NO_FILES)
@pytest.mark.parametrize("name", ["site.conf.j2", ".env", ".env.example"])
def test_template_and_environment(
    refused: Callable[..., Outcome],
    tmp_path: Path,
    application: Path,
    spoil: Callable[[Path], None],
    name: str,
) -> None:
    """A template, and the application's own variables."""
    file = application / name
    file.unlink(missing_ok=True)
    spoil(file)
    refused(file, "up", "--dry-run", f"--topology={tmp_path}/mine.yaml", f"--state-dir={tmp_path}/s")


@kinds(OF_YAML)
def test_workload(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """A workload's file."""
    from harness.load.workload import load_workload

    file = tmp_path / "mine.yaml"
    spoil(file)
    with pytest.raises(UsageError, match=r"mine\.yaml"):
        load_workload(file)


@kinds(FILES)
def test_trace(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """A file of arrivals."""
    from harness.load import schedule

    file = tmp_path / "arrivals.txt"
    spoil(file)
    with pytest.raises(UsageError, match=r"arrivals\.txt"):
        schedule.parse(f"trace:{file}", seed=1)


@kinds(OF_JSON)
@pytest.mark.parametrize(
    "command",
    [("gate", "--from"), ("baseline", "save", "OUT", "--from"), ("gate", "--baseline"), ("baseline", "show")],
    ids=" ".join,
)
def test_report_and_baseline(
    refused: Callable[..., Outcome],
    tmp_path: Path,
    spoil: Callable[[Path], None],
    command: tuple[str, ...],
) -> None:
    """What the gate and the baseline are given."""
    file = tmp_path / "given.json"
    spoil(file)
    words = [str(tmp_path / "out.json") if word == "OUT" else word for word in command]
    if spoil is directory:  # click says so itself, in its own words
        pytest.skip("refused as an option")
    refused(file, *words, file)
    assert not (tmp_path / "out.json").exists()


@kinds(OF_JSON)
@pytest.mark.parametrize("name", ["report.json", "run.json"])
def test_files_of_a_run(
    refused: Callable[..., Outcome], tmp_path: Path, spoil: Callable[[Path], None], name: str
) -> None:
    """Those of ours that a command reads again, should something have happened to them."""
    run_dir = RunDir(tmp_path, "mine")
    run_dir.create()
    spoil(run_dir.path / name)
    refused(run_dir.path / name, "report", "--run=mine", f"--state-dir={tmp_path}")


@kinds(FILES | {"empty": content(""), "another": content("-----BEGIN OPENSSH PRIVATE KEY-----\n")})
def test_key_of_a_run(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """The key that a run logs in with."""
    run_dir = RunDir(tmp_path, "mine")
    run_dir.create()
    spoil(run_dir.private_key)
    with pytest.raises(UsageError, match="id_ed25519"):
        run_dir.public_key()


@kinds(FILES | {"empty": content("")})
def test_certificate_authority(wavetank: Wavetank, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """``--ca-file``."""
    file = tmp_path / "ca.pem"
    spoil(file)
    done = wavetank("price", "--target=do", f"--ca-file={file}", f"--state-dir={tmp_path}")
    assert done.code == 4
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "broken",
    [
        {"checks": 5},
        {"checks": [5]},
        {"checks": [{}]},
        {"checks": [{"id": "a", "outcome": [], "reason": ""}]},
        {"droplets": [[]]},
        {"environment": []},
        {"timings": 1},
        {"verdict": {}},
        {"load": 5},
        {"load": [5]},
        {"isolation": 5},
        {"isolation": {"matrix": [[]]}},
        {"failover": 5},
        {"mutation": []},
        {"notes": 5},
        {"intent": [5]},
    ],
    ids=str,
)
@pytest.mark.parametrize("command", ["report", "gate"])
def test_a_report_of_another_form(
    wavetank: Wavetank, tmp_path: Path, broken: dict[str, object], command: str
) -> None:
    """JSON and a report by its own word, but with something else where its parts should be."""
    run_dir = RunDir(tmp_path, "mine")
    run_dir.create()
    written = {**report.start("mine", "local", "standard"), **broken}
    run_dir.report.write_text(json.dumps(written))
    if command == "report":
        done = wavetank("report", "--run=mine", f"--state-dir={tmp_path}")
    else:
        done = wavetank("gate", f"--from={run_dir.report}", "--topology=standard")
    assert done.code in (2, 4), done.err
    assert "Traceback" not in done.err


ENDLESS = {
    "many letters": "{{ 'a' * 10**10 }}",
    "a large number": "{{ 10 ** (10 ** 10) }}",
    "a long range": "{% for a in range(10**12) %}x{% endfor %}",
    "loops in loops": "{% for a in range(2000) %}" * 5 + "{% endfor %}" * 5,
    "a text that doubles": "{% set n = namespace(x='a') %}{% for i in range(60) %}{% set n.x = n.x ~ n.x %}"
    "{% endfor %}{{ n.x }}",
    "a list that doubles": "{% set n = namespace(x=[1]) %}{% for i in range(60) %}"
    "{% set n.x = [n.x, n.x] %}{% endfor %}{{ n.x }}",
    "tuples that double": "{% set n = namespace(x=(1,)) %}{% for i in range(60) %}"
    "{% set n.x = (n.x, n.x) %}{% endfor %}{{ {n.x: 1} }}",
    "a macro in itself": "{% macro m() %}{{ m() }}{{ m() }}{% endmacro %}{{ m() }}",
    "a macro that doubles": "{% macro m(n) %}{% if n %}{{ m(n-1) }}{{ m(n-1) }}{% endif %}{% endmacro %}"
    "{{ m(60) }}",
    "itself": "{% include 'expression' %}",
    "centred": "{{ 'a'|center(10**10) }}",
    "a method": "{{ 'a'.ljust(10**10) }}",
    "a width": "{{ '%10000000000d' % 1 }}",
    "a width in braces": "{{ '{:>10000000000}'.format(1) }}",
    "a width that is given": "{{ '{:{w}}'.format(1, w=10**10) }}",
    "replaced": "{{ ('a' * 60000)|replace('a', 'b' * 60000) }}",
    "joined": "{{ range(2000)|join('b' * 60000) }}",
    "brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "conditions": "{% if 1 %}" * 3000 + "{% endif %}" * 3000,
    "a look outside": "{{ role.__globals__ }}",
    "what Python is made of": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
}


@pytest.mark.parametrize("text", ENDLESS.values(), ids=ENDLESS.keys())
def test_template_without_an_end(
    refused: Callable[..., Outcome], tmp_path: Path, application: Path, text: str
) -> None:
    """A template that would take all time or memory, or look around, is refused."""
    file = application / "site.conf.j2"
    file.write_text(text)
    refused(file, "up", "--dry-run", f"--topology={tmp_path}/mine.yaml", f"--state-dir={tmp_path}/s")


def test_variables_that_double(tmp_path: Path) -> None:
    """``.env`` has its bombs, too: each value is made of several of the one before."""
    text = "A0=aaaaaaaaaa\n" + "".join(f"A{n}=$A{n - 1}$A{n - 1}\n" for n in range(1, 60))
    with pytest.raises(TopologyError, match="longer than"):
        read_variables(text, tmp_path / ".env", {})


def test_variables_many_times_over(tmp_path: Path) -> None:
    """A compose file's values, too."""
    text = f"services: {{web: {{image: i, labels: {{a: '{'${A}' * 100_000}'}}}}}}"
    with pytest.raises(TopologyError, match="longer than"):
        read(tmp_path / "docker-compose.yml", text=text, environment={"A": "a" * 100_000})


@pytest.mark.parametrize(
    "body",
    ["build: 5", "build: [.]", "image: i\n    volumes: 5", "image: i\n    env_file: 5"],
)
def test_compose_sections_of_another_form(tmp_path: Path, body: str) -> None:
    """What Compose would refuse is no traceback here."""
    with pytest.raises(TopologyError, match=r"docker-compose\.yml"):
        read(tmp_path / "docker-compose.yml", text=f"services:\n  web:\n    {body}\n")


def test_byte_order_mark_before_variables(tmp_path: Path, application: Path) -> None:
    """The first variable of a ``.env`` that begins with a mark counts, as it does for Compose."""
    (application / ".env").write_text("\ufeffFIRST=1\n")
    topology = load(tmp_path / "mine.yaml")
    deployment = imagined(topology)
    text = render.render_service(topology, deployment, topology.services[0], "web")[".env"]
    assert text == "FIRST=1\n"


@pytest.mark.parametrize("program", ["ssh", "docker"])
def test_a_program_that_is_missing(
    wavetank: Wavetank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    """One sentence and a remedy before anything is made: not even the emulator's directory."""
    found = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, *rest: None if name == program else found(name, *rest))
    done = wavetank("up", f"--state-dir={tmp_path / 'state'}", OPERATOR)
    assert done.code == 3
    assert f"the command `{program}` is not installed\n  remedy: " in done.err
    assert len(done.err.splitlines()) < 4
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize(
    "error", [KeyError("what"), RecursionError("deep"), MemoryError(), AssertionError("no")]
)
def test_what_nobody_foresaw_is_no_failed_check(
    wavetank: Wavetank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Exit code 3, an apology, and a file of one's own with the traceback; never 1."""

    def fall(*_: object) -> None:
        raise error

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(settings, "choose_existing", fall)
    done = wavetank("report")
    assert done.code == 3
    assert "sorry" in done.err
    assert "Traceback" not in done.err
    (log,) = tmp_path.iterdir()
    assert str(log) in done.err
    assert log.stat().st_mode & 0o077 == 0
    assert "Traceback" in log.read_text()


def test_a_file_of_the_systems_own(wavetank: Wavetank, tmp_path: Path) -> None:
    """Where the system refuses, that is told in a sentence, with the file."""
    (tmp_path / "state").write_text("")
    run = ("--run=mine", f"--state-dir={tmp_path / 'state'}")
    done = wavetank("report", *run)
    assert done.code in (3, 4)
    assert "Traceback" not in done.err


def test_nobody_reads_the_output(tmp_path: Path) -> None:
    """``wavetank ... | head`` is no failed check either."""
    script = "import sys; from harness.cli import main as cli; sys.exit(cli.run(['price', '--help']))"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, check=False, cwd=PROJECT
    )
    os.close(writer)
    assert done.returncode not in (0, 1), done.stderr
