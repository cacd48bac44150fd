"""Judge0's own API at the load balancer, from a node that may reach it: one program for each status."""

from __future__ import annotations

import pytest

from harness.access.ssh import Access
from harness.core.errors import InconclusiveError
from harness.judge0 import api as status
from harness.judge0.api import IDS
from harness.judge0.client import Judge0
from harness.judge0.detect import counts_workers
from harness.judge0.route import to_judge0
from harness.judge0.workers import WorkerCount
from harness.run.session import Session
from harness.topology.deployment import Deployment
from harness.topology.model import Topology
from harness.verify.answers import worker_nodes
from harness.verify.judge0_token import admitted, token_headers
from harness.verify.network.probe import from_node, require_control

PYTHON, C = IDS["python"], IDS["c"]
CONNECT = "import socket\nsocket.create_connection(('{address}', {port}), 3)"
ENDLESS = "while True:\n    pass\n"


def test_right_answer_is_accepted(judge0: Judge0) -> None:
    """Output equal to what was expected, but for space at the ends of lines, is Accepted."""
    result = judge0.run("print('42  ')", PYTHON, expected_output="42\n")
    assert (result.status, result.description) == (status.ACCEPTED, "Accepted")


def test_wrong_answer_is_told(judge0: Judge0) -> None:
    """Other output than expected is a Wrong Answer, and is shown."""
    result = judge0.run("print(41)", PYTHON, expected_output="42")
    assert (result.status, result.description) == (status.WRONG_ANSWER, "Wrong Answer")
    assert result.stdout.strip() == "41"


def test_endless_program_is_stopped(judge0: Judge0) -> None:
    """A program that goes on for ever meets the time limit."""
    result = judge0.run(ENDLESS, PYTHON, cpu_time_limit=1, wall_time_limit=5)
    assert (result.status, result.description) == (status.TIME_LIMIT, "Time Limit Exceeded")


def test_compiler_is_quoted(judge0: Judge0) -> None:
    """A program that does not compile ends in Compilation Error, with what the compiler said."""
    result = judge0.run("int main(void) { return nothing; }", C)
    assert (result.status, result.description) == (status.COMPILATION_ERROR, "Compilation Error")
    assert "nothing" in result.compile_output


@pytest.mark.parametrize(
    ("source", "language"),
    [
        pytest.param("raise SystemExit(3)", PYTHON, id="exit-code"),
        pytest.param("print(1 // 0)", PYTHON, id="exception"),
        pytest.param("int main(void) { return *(volatile int *)0; }", C, id="signal"),
    ],
)
def test_crash_is_a_runtime_error(source: str, language: int, judge0: Judge0) -> None:
    """A program that fails ends in one of the Runtime Errors."""
    result = judge0.run(source, language)
    assert result.status in status.RUNTIME_ERRORS, result
    assert result.description.startswith("Runtime Error")


def test_program_has_no_network(
    judge0: Judge0, topology: Topology, deployment: Deployment, access: Access
) -> None:
    """Submitted code does not reach the database that the worker it runs on does."""
    workers = set(topology.checks.judge0.workers) if topology.checks.judge0 else set()
    for name, database in topology.databases.items():
        for node in workers & set(database.trusted_sources):
            private = deployment.databases[name].private
            address = access.run(node, f"getent ahostsv4 {private.host}").split()[0]
            require_control(from_node(access, node, [(address, private.port)]), (address, private.port), node)
            result = judge0.run(CONNECT.format(address=address, port=private.port), PYTHON)
            assert result.status in status.RUNTIME_ERRORS, result
            return
    pytest.skip("no database trusts a node of checks.judge0.workers")


def test_empty_submission_is_refused(judge0: Judge0) -> None:
    """A submission without a program is refused with Judge0's own error."""
    answer = judge0.post({"language_id": PYTHON})
    assert answer.status_code == 422
    assert answer.json() == {"source_code": ["can't be blank"]}


def test_several_at_once_all_end(judge0: Judge0) -> None:
    """Submissions made together are all judged, each with its own output."""
    tokens = [judge0.create(f"print({number})", PYTHON) for number in range(6)]
    result = judge0.wait(tokens)
    assert [each.stdout.strip() for each in result] == [str(number) for number in range(6)]


@pytest.mark.existing("login")
def test_workers_are_there(judge0: Judge0, session: Session) -> None:
    """Judge0 has workers that wait for work: by its own count, or by processes on their nodes."""
    nodes = worker_nodes(session)
    if not nodes and not counts_workers(judge0.get):
        raise InconclusiveError("where workers run is unknown: name the droplets in checks.judge0.workers")
    assert WorkerCount(judge0.get, session.access, nodes)().total > 0


@pytest.mark.needs("judge0_token")
def test_who_does_not_know_the_token_is_refused(session: Session) -> None:
    """Without the headers of checks.judge0.headers, and with wrong ones, every path answers 401."""
    with to_judge0(session) as client:
        assert list(admitted(client, token_headers(session.topology))) == []
