"""A repository as its authors run it on one machine, deployed on seven droplets with not one file changed.

Eight faults are seeded, and each is found by a check of its own, or refused before anything is made. Those
that cannot hide each other are seeded together: each check looks at another service. What fails is what is
broken, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import tutorial
from editors import APPS, Outcomes, Standing, edited, editor

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1500)]

TOPOLOGY = APPS / "editor.yaml"
# What it works with, not how its machines are closed: other tests have that.
CHECKS = "load_balancer or nodes or (judge0 and not lb) or (front_door and not port)"


@dataclass(frozen=True)
class Fault:
    """A fault: what it changes in the topology or on a droplet, the check that finds it, and its words."""

    name: str
    check: str
    says: str
    changes: tuple[tuple[str, str], ...] = ()
    droplet: str = ""
    script: str = ""

    def __str__(self) -> str:
        return self.name


STALE = """\
set -e
label='{{index .Config.Labels "com.docker.compose.project.config_files"}}'
files=$(docker inspect -f "$label" judge0-worker-1)
docker commit -c 'LABEL is=stale' judge0-worker-1 judge0/judge0:1.13.1
cd /opt/wavetank/workers
COMPOSE_FILE=$files COMPOSE_PATH_SEPARATOR=, docker compose -p workers up -d --no-build
"""
SERVERS = "    override:\n      services:\n        judge0-server-1"
FAULTS = (
    Fault(
        "client without its database's variable",
        "requests.request_is_answered[POST /api/auth/signup]",
        "status 500, not 201",
        (('MONGODB_URI: "{{ databases.mongo.private.uri }}&tlsCAFile=/run/mongo-ca.pem"\n', "\n"),),
    ),
    Fault(
        "token missing",
        "judge0.who_does_not_know_the_token_is_refused",
        "with no X-Auth-Token answers 200, not 401",
        ((
            f'AUTHN_TOKEN: "{{{{ secrets.authn }}}}"\n{SERVERS}',
            f'AUTHN_TOKEN: ""\n{SERVERS}',
        ),),
    ),
    Fault(
        "one server not run",
        "nodes.containers_are_those_of_its_services[server-2]",
        "judge0-server-2",
        droplet="server-2",
        script="docker stop judge0-server-2",
    ),
    Fault(
        "literal environment not overridden",
        "end_to_end.program_is_run[python]",
        "the runner answered 502",
        (("""      JUDGE0_URL: "http://{{ nodes['judge0-lb'].private_ip }}:2358"\n""", ""),),
    ),
    Fault(
        "worker that cannot resolve its database",
        "answers.every_worker_answers_right",
        "no program ran on worker-2",
        ((
            "    environment: *judge0\n",
            "    environment: {<<: *judge0, judge0-worker-2: {POSTGRES_HOST: postgres}}\n",
        ),),
    ),
    Fault(
        "stale image",
        "nodes.service_runs_what_was_built[workers@worker-1]",
        "judge0/judge0:1.13.1 is sha256:",
        droplet="worker-1",
        script=STALE,
    ),
)  # fmt: skip
UPSTREAM = Fault(
    "upstream to the wrong droplet",
    "nodes.load_balancer_knows_the_servers",
    ":2358",
    ((
        "        judge0-server-2: *server\n",
        "        judge0-server-2: *server\n        judge0-lb:\n"
        "          extra_hosts: !override\n"
        """            - "judge0-server-1={{ nodes['server-1'].private_ip }}"\n"""
        """            - "judge0-server-2={{ nodes['server-1'].private_ip }}"\n""",
    ),),
)  # fmt: skip
CHOSEN = (
    "signup or who_does_not_know or containers_are_those or (program_is_run and python) or every_worker "
    "or runs_what_was_built"
)


DRY_RUN = "wavetank up --topology editor.yaml --run editor --dry-run"
UP = "wavetank up --topology editor.yaml --run editor"
VERIFY = 'wavetank verify --no-faults -k "end_to_end or signup"'
FAILURE = "wavetank verify --no-faults -k signup"
REPORT, DOWN = "wavetank report", "wavetank down"


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    """The editor, up as the tutorial says."""
    with editor(tmp_path_factory.mktemp("editor"), TOPOLOGY) as made:
        for command in (DRY_RUN, UP):
            done = made.follow(command)
            assert done.code == 0, done.err
        made.deployed = TOPOLOGY
        yield made
    require_said(made, DOWN)


@pytest.fixture(scope="module")
def checked(standing: Standing) -> dict[str, dict[str, str]]:
    """What was found of the deployment as it stands, by the tutorial's command and by another one."""
    standing.restore()
    standing.follow(VERIFY)
    first = standing.outcomes()
    standing.follow(REPORT)
    second = standing.verify(CHECKS)
    return {
        outcome: {**first[outcome], **second[outcome]} for outcome in ("passed", "failed", "inconclusive")
    }


def test_it_works_as_it_stands(checked: Outcomes) -> None:
    """Programs run, users sign up, Judge0 refuses without its token; what no log shows is inconclusive."""
    assert not checked["failed"]
    assert set(checked["inconclusive"]) == {
        "images.judge0_has_the_cgroups_that_it_needs",
    }
    assert set(checked["passed"]) >= {
        "end_to_end.load_balancer_passes_it_to_a_server",
        "load_balancer.requests_are_shared_out_as_configured",
        "end_to_end.worker_runs_it",
        "requests.request_is_answered[POST /api/auth/signup]",
        "judge0.who_does_not_know_the_token_is_refused",
        "nodes.load_balancer_knows_the_servers",
    }


def test_a_second_up_changes_nothing(standing: Standing) -> None:
    """What the topology says on top of the files is deployed once."""
    standing.restore()
    done = standing.shell.up("--run=editor", "-o", "json").end(300)
    assert done.code == 0, done.err
    assert (done.json["changes"], done.json["deployed"]) == ([], [])


@dataclass(frozen=True)
class Broken:
    """The deployment with faults in it: what was found, and what the ``up`` after it deployed again."""

    found: Outcomes
    repaired: list[str]
    upstream: Outcomes


@pytest.fixture(scope="module")
def broken(standing: Standing, tmp_path_factory: pytest.TempPathFactory) -> Broken:
    """All of ``FAULTS``, checked; then the upstream as well, when servers are there that it can lead to."""
    directory = tmp_path_factory.mktemp("broken")
    changes = [change for fault in FAULTS for change in fault.changes]
    file = edited(directory, TOPOLOGY, *changes)
    standing.up(without_checks(file))
    for fault in FAULTS:
        if fault.script:
            done = standing.shell("exec", "--run=editor", fault.droplet, "--", fault.script)
            assert done.code == 0, done.out + done.err
    found = standing.verify(CHOSEN, topology=file)
    standing.follow(FAILURE, f"--topology={file}")
    file = edited(directory, TOPOLOGY, *changes, *UPSTREAM.changes)
    repaired = standing.up(without_checks(file))
    return Broken(found, repaired, standing.verify("knows_the_servers", topology=file))


def without_checks(file: Path) -> Path:
    """The topology with which ``up`` waits for no first submission: with these faults there is none."""
    silent = file.with_name("silent.yaml")
    silent.write_text(file.read_text().partition("\nchecks:\n")[0])
    return silent


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_found_by_its_check(fault: Fault, broken: Broken) -> None:
    """By name, and the reason says what is wrong."""
    assert fault.says in broken.found["failed"].get(fault.check, ""), broken.found["failed"]


def test_nothing_else_is_found(broken: Broken) -> None:
    """A fault of one service shows nowhere else: each check found its own."""
    second = "requests.request_is_answered[POST /api/auth/signup (2)]"
    assert set(broken.found["failed"]) - {second} == {fault.check for fault in FAULTS}
    assert not broken.found["inconclusive"]


def test_an_upstream_to_the_wrong_droplet_is_found(broken: Broken) -> None:
    """Everything works, on one server only."""
    assert set(broken.upstream["failed"]) == {UPSTREAM.check}
    assert UPSTREAM.says in broken.upstream["failed"][UPSTREAM.check]


def test_up_repairs_what_was_changed_on_droplets(broken: Broken) -> None:
    """What was stopped is started, a stale image is replaced, and the rest of what was broken stays."""
    assert set(broken.repaired) == {"judge0@server-2", "workers@worker-1", "judge0@judge0-lb"}


def test_a_port_that_is_not_published_is_refused(standing: Standing, tmp_path: Path) -> None:
    """Before anything is changed, with what to write; as the tutorial shows it."""
    file = edited(tmp_path, TOPOLOGY, ('    publish: {code-client: ["80:3000"]}\n', ""))
    done = standing.shell("up", "--dry-run", f"--topology={file}", "--run=editor")
    assert done.code == 4, done.err
    said = done.err.replace(str(file), "editor.yaml").splitlines()
    assert len(tutorial.errors()) == 2
    assert [line for line in tutorial.errors() if line not in said] == [], done.err


@pytest.mark.parametrize("command", [DRY_RUN, UP, VERIFY, REPORT, FAILURE])
@pytest.mark.usefixtures("checked", "broken")
def test_the_tutorial_shows_what_is_said(command: str, standing: Standing) -> None:
    """Every line that it prints after a command."""
    require_said(standing, command)


def test_every_command_of_the_tutorial_is_tried() -> None:
    """There are no others in it."""
    assert set(tutorial.commands()) == {DRY_RUN, UP, VERIFY, FAILURE, REPORT, DOWN}


def require_said(standing: Standing, command: str) -> None:
    """Every line of the tutorial is one of those that the command printed."""
    done, state_dir = standing.printed[command], standing.shell.state_dir
    said = tutorial.normalised(done.out + "\n" + done.err, state_dir)
    wanted = tutorial.normalised("\n".join(tutorial.commands()[command]), state_dir)
    assert wanted
    assert [line for line in wanted if line not in said] == [], done.out + done.err
