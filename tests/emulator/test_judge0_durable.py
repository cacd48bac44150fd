"""The reference Judge0 under a steady load while a part of it is killed: an audit in PostgreSQL is the judge.

A trigger writes down every change of status, so a submission that was finished twice shows even where the
second result is the same as the first.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import pytest
from docker.models.containers import Container
from judge0_stack import Stack, create, show, wait_for_all

from emulator.docker.engine import execute
from harness.core.wait import NotYet, wait_for

pytestmark = pytest.mark.docker

BASH = 46
PACE = 0.2
LOADED = 10

AUDIT = """
CREATE TABLE IF NOT EXISTS audit (token uuid, was integer, became integer, attempt integer);
CREATE OR REPLACE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit VALUES (new.token, old.status_id, new.status_id, new.attempt);
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER note AFTER UPDATE OF status_id ON submissions FOR EACH ROW EXECUTE FUNCTION note();
TRUNCATE audit;
"""
TWO_TRIES = """
import asyncio, json, os, sys
from judge0_common import connect
from judge0_worker import store, verdict

async def main(token):
    pool = await connect.open_database(os.environ, size=1)
    claimed = [(await store.claim(pool, token, "one"))["attempt"] for _ in range(2)]
    by_another = await store.claim(pool, token, "another")
    who, result = ("one", "one", "another"), verdict.Result(verdict.ACCEPTED)
    finished = [await store.finish(pool, token, each, 1, result) for each in who]
    print(json.dumps({"claimed": claimed, "by_another": by_another, "finished": finished}))

asyncio.run(main(sys.argv[1]))
"""
TWICE = "SELECT token FROM audit WHERE became > 2 GROUP BY token HAVING count(*) <> 1 OR bool_or(was > 2)"


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Databases; each test starts its own servers and workers."""
    with Stack() as stack:
        yield stack


class Load:
    """Hands a program of a second in five times a second; what is refused or lost was not accepted."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._over = threading.Event()
        self.accepted: list[str] = []
        self.refused = 0

    def run(self) -> None:
        """Until told to stop."""
        while not self._over.wait(PACE):
            self._one()

    def _one(self) -> None:
        body = {"language_id": BASH, "source_code": "sleep 1; echo done", "wall_time_limit": 20}
        try:
            answer = self._client.post("/submissions", json=body, timeout=5)
        except httpx.TransportError:
            self.refused += 1
            return
        if answer.status_code == 201:
            self.accepted.append(answer.json()["token"])
        else:
            self.refused += 1

    def stop(self) -> None:
        self._over.set()

    def wait_for_more(self, count: int) -> None:
        """Until so many more were accepted."""
        wanted = len(self.accepted) + count

        def probe() -> None:
            if len(self.accepted) < wanted:
                raise NotYet(f"{len(self.accepted)} of {wanted} accepted, {self.refused} refused")

        wait_for("submissions to be accepted", probe, deadline=60)


@contextmanager
def loaded(client: httpx.Client) -> Iterator[Load]:
    """A steady load for the length of a block; it is well under way when the block begins."""
    load = Load(client)
    thread = threading.Thread(target=load.run, daemon=True)
    thread.start()
    try:
        load.wait_for_more(LOADED)
        yield load
        load.wait_for_more(LOADED)
    finally:
        load.stop()
        thread.join()


def hold(stack: Stack, client: httpx.Client, disturb: Callable[[Load], None]) -> Load:
    """Disturb a loaded stack; then each accepted submission must have been finished, once, and rightly."""
    stack.sql(AUDIT)
    with loaded(client) as load:
        disturb(load)
    ended = wait_for_all(client, *load.accepted)
    assert {(each["status"]["id"], each["stdout"]) for each in ended} == {(3, "done\n")}
    given = ", ".join(f"('{token}'::uuid)" for token in load.accepted)
    finished = f"SELECT token FROM audit WHERE became > 2 AND token IN (SELECT * FROM (VALUES {given}) v)"
    assert len(stack.sql(finished)) == len(load.accepted)
    assert stack.sql(TWICE) == []
    return load


def wait_until_busy(stack: Stack, worker: Container) -> None:
    """Until a worker runs something; as more is handed in than four slots can take, it then always does."""

    def probe() -> None:
        mine = f"SELECT 1 FROM submissions WHERE status_id = 2 AND worker LIKE '{worker.short_id}%'"
        if not stack.sql(mine):
            raise NotYet("it runs nothing")

    wait_for("the worker to run something", probe, deadline=60)


def restart(stack: Stack, database: Container) -> None:
    """Kill a database's machine and start it again."""
    database.kill()
    database.start()
    stack.wait_until_ready(database)


def test_a_worker_killed_under_load_loses_nothing_and_finishes_nothing_twice(stack: Stack) -> None:
    """What it ran is run again by the other one."""
    version = {"JUDGE0_VERSION": "durable-worker", "WORKER_LEASE": "1"}

    def kill(_: Load) -> None:
        wait_until_busy(stack, first)
        first.kill()

    with stack.server(version) as client, stack.worker(COUNT="2", **version) as first:
        with stack.worker(COUNT="2", **version):
            load = hold(stack, client, kill)
        again = stack.sql("SELECT count(*) FROM audit WHERE was = 2 AND became = 1")
    assert int(again[0][0]) > 0, "it ran nothing when it was killed"
    assert not load.refused


def test_a_worker_that_was_taken_for_dead_and_comes_back_finishes_nothing_twice(stack: Stack) -> None:
    """Frozen for longer than its lease: others run what it had, and its own results come too late."""
    version = {"JUDGE0_VERSION": "durable-frozen", "WORKER_LEASE": "1"}

    def freeze(_: Load) -> None:
        wait_until_busy(stack, first)
        first.pause()
        try:
            wait_for("another worker to take over", taken_over, deadline=60)
        finally:
            first.unpause()

    def taken_over() -> None:
        [[again]] = stack.sql("SELECT count(*) FROM audit WHERE became > 2 AND attempt > 1")
        if again == "0":
            raise NotYet("nothing was run again")

    with (
        stack.server(version) as client,
        stack.worker(COUNT="2", **version) as first,
        stack.worker(COUNT="2", **version),
    ):
        hold(stack, client, freeze)


def test_a_change_whose_answer_was_lost_can_be_made_again(stack: Stack) -> None:
    """By who made it: the same attempt is claimed, the same result stands; anybody else gets nothing."""
    version = {"JUDGE0_VERSION": "durable-answers"}
    with stack.server(version) as client, stack.worker(COUNT="1", JUDGE0_VERSION="other") as worker:
        token = create(client, BASH, "true")
        code, output = execute(worker.client, worker.id, ["python3", "-c", TWO_TRIES, token])
        assert code == 0, output.decode()
        assert json.loads(output) == {
            "claimed": [1, 1],
            "by_another": None,
            "finished": [True, True, False],
        }
        assert show(client, token)[0]["status"]["description"] == "Accepted"


def test_databases_killed_under_load_lose_nothing(stack: Stack) -> None:
    """Valkey with its append-only file, PostgreSQL, then Valkey without its queue, which is long by then."""
    version = {"JUDGE0_VERSION": "durable-databases"}

    def one_after_the_other(load: Load) -> None:
        restart(stack, stack.valkey)
        load.wait_for_more(LOADED)
        restart(stack, stack.postgres)
        load.wait_for_more(LOADED)
        stack.valkey.exec_run(["sh", "-c", "rm -rf /data/*"])
        restart(stack, stack.valkey)

    with stack.server(version) as client, stack.worker(COUNT="3", **version):
        hold(stack, client, one_after_the_other)
