"""The reference Judge0 when something breaks: nothing is lost, nothing is finished twice."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from docker.models.containers import Container
from judge0_stack import Stack, archive, create, run, show, wait_for_all

from harness.core.errors import CheckFailedError
from harness.core.wait import NotYet, wait_for
from harness.judge0.client import Judge0
from harness.judge0.detect import detect
from harness.verify.answers import Goal, Tally, distinct, examine
from harness.verify.programs import fingerprints

pytestmark = pytest.mark.docker

BASH = 46


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Databases; each test starts its own servers and workers."""
    with Stack() as stack:
        yield stack


def workers(client: httpx.Client) -> dict[str, int]:
    found = client.get("/workers").raise_for_status().json()
    return dict(found[0]) if found else {}


def wait_for_workers(client: httpx.Client, **wanted: int) -> None:
    def probe() -> None:
        found = workers(client)
        if {name: found.get(name) for name in wanted} != wanted:
            raise NotYet(str(found))

    wait_for(f"/workers to say {wanted}", probe, deadline=30)


def test_what_a_killed_worker_ran_is_run_by_another(stack: Stack) -> None:
    """kill -9 in the middle of a run: another worker runs it, and it is finished once."""
    version = {"JUDGE0_VERSION": "killed", "WORKER_LEASE": "1"}
    with stack.server(version) as client, stack.worker(COUNT="1", **version) as first:
        token = create(client, BASH, "sleep 3; echo done")
        wait_for_workers(client, working=1)
        with stack.worker(COUNT="1", **version):
            first.kill()
            [found] = wait_for_all(client, token)
            assert (found["status"]["id"], found["stdout"]) == (3, "done\n")
            wait_for_workers(client, available=1, working=0, size=0)
            assert show(client, token)[0]["finished_at"] == found["finished_at"]


def test_a_submission_that_kills_its_workers_ends_in_internal_error(stack: Stack) -> None:
    """After so many tries nobody tries again."""
    version = {"JUDGE0_VERSION": "attempts", "WORKER_LEASE": "1"}
    with stack.server(version) as client, stack.worker(COUNT="1", MAX_ATTEMPTS="1", **version) as first:
        token = create(client, BASH, "sleep 9")
        wait_for_workers(client, working=1)
        with stack.worker(COUNT="1", MAX_ATTEMPTS="1", **version):
            first.kill()
            [found] = wait_for_all(client, token)
    assert found["status"]["description"] == "Internal Error"
    assert "worker died" in found["message"]


def test_a_queue_that_lost_everything_is_filled_again(stack: Stack) -> None:
    """With an empty Valkey, PostgreSQL still knows what has to run."""
    version = {"JUDGE0_VERSION": "emptied"}
    with stack.server(version) as client:
        tokens = [create(client, BASH, f"echo {i}") for i in range(3)]
        stack.forget_queue("queue:emptied")
        with stack.worker(COUNT="1", **version):
            found = wait_for_all(client, *tokens)
    assert [item["stdout"] for item in found] == ["0\n", "1\n", "2\n"]


def test_a_full_queue_says_so_and_takes_more_when_it_has_room(stack: Stack) -> None:
    """503 beyond MAX_QUEUE_SIZE, for an invalid body too; 201 again once a worker has taken from it."""
    version = {"JUDGE0_VERSION": "full"}
    with stack.server({"MAX_QUEUE_SIZE": "2", **version}) as client:
        tokens = [create(client, BASH, "true") for _ in range(2)]
        for body in ({"language_id": BASH, "source_code": "true"}, {}):
            answer = client.post("/submissions", json=body)
            assert (answer.status_code, answer.json()) == (503, {"error": "queue is full"})
        with stack.worker(COUNT="1", **version):
            wait_for_all(client, *tokens)
            assert run(client, BASH, "echo again")["stdout"] == "again\n"


def test_count_is_the_number_of_programs_at_a_time(stack: Stack) -> None:
    """COUNT=3: three run, the rest waits; a worker that is told to stop finishes what it runs and leaves."""
    version = {"JUDGE0_VERSION": "counted"}
    with stack.server(version) as client, stack.worker(COUNT="3", **version) as worker:
        tokens = [create(client, BASH, "sleep 2") for _ in range(4)]
        wait_for_workers(client, available=3, working=3, idle=0, size=1)
        worker.stop(timeout=20)
        ended = [item["status"]["description"] for item in show(client, *tokens)]
        assert set(ended) <= {"Accepted", "In Queue"}, ended
        assert ended.count("Accepted") >= 3


def test_a_worker_of_another_version_leaves_the_queue_alone(stack: Stack) -> None:
    """The queue is named after JUDGE0_VERSION, as in Judge0."""
    with stack.server({"JUDGE0_VERSION": "a"}) as client, stack.worker(COUNT="1", JUDGE0_VERSION="b"):
        token = create(client, BASH, "true")
        assert workers(client) == {
            "queue": "a", "size": 1, "available": 0, "idle": 0, "working": 0, "paused": 0, "failed": 0
        }  # fmt: skip
        assert show(client, token)[0]["status"]["description"] == "In Queue"


# In place of the sandbox: it runs the real one, and now and then adds to what the program has written.
LYING_BOX = b"""#!/usr/bin/bash
/usr/local/bin/box.real "$@"
ended=$?
for each in "$@"; do
  [[ $each == --stdout=* && $((SRANDOM % 20)) == 0 ]] && echo 1 >> "${each#--stdout=}"
done
exit $ended
"""


def test_a_worker_that_lies_in_1_of_20_answers_is_noticed(stack: Stack) -> None:
    """Beside an honest one, which the check takes for what it is."""
    version = {"JUDGE0_VERSION": "liar", "COUNT": "2"}
    with stack.server(version) as client, stack.worker(**version) as honest, stack.worker(**version) as liar:
        wait_for_workers(client, available=4)
        seen = {name: fingerprints(str(each.attrs)) for name, each in (("honest", honest), ("liar", liar))}
        judge0, honest_ones = Judge0(client), Tally(distinct(seen))
        examine(judge0, detect(judge0.get), honest_ones, Goal(share=0.5), seed="honest")
        lie(liar)
        with pytest.raises(CheckFailedError, match="answered wrong"):
            examine(judge0, detect(judge0.get), Tally(distinct(seen)), Goal(), seed="lying")


def lie(worker: Container) -> None:
    """Have a worker's sandbox lie from now on."""
    code, said = worker.exec_run("mv /usr/local/bin/box /usr/local/bin/box.real")
    assert code == 0, said
    worker.put_archive("/usr/local/bin", archive({"box": LYING_BOX}, mode=0o755))
