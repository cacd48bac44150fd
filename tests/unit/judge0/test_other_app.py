"""An application that we did not write is asked in its own way: over TLS, with headers, in its languages."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pytest
from other_app import OtherApp, serving

from harness.core.errors import CheckFailedError, UsageError
from harness.judge0 import frontdoor, programs, reading
from harness.judge0.api import IDS
from harness.judge0.model import Program, Route
from harness.judge0.route import client_route, public_address
from harness.load.engine import Engine
from harness.load.model import SECOND, Outcome, Workload
from harness.load.protocol.opening import check_route, open_protocol
from harness.load.recorder import Recorder
from harness.target.target import Target
from harness.topology.model import FrontDoor

HOST, HERE = "127.0.0.1", Target("local", "", "")
DOOR = FrontDoor(
    node="client",
    path="/api/run",
    request={"code": "source", "languageId": "language_id", "stdin": "stdin"},
    reply={
        "status": "result.status",
        "stdout": "result.output",
        "stderr": "result.stderr",
        "compile_output": "result.compileOutput",
        "time": "result.time",
        "memory": "result.memory",
    },
    scheme="https",
    server_name="code.example",
    headers={"X-Auth-Token": "let-me-in"},
    languages={"python": 71, "cpp": 54, "62": 62},
    statuses={"OK": 3, "TLE": 5},
)


@pytest.fixture(scope="module")
def running() -> Iterator[OtherApp]:
    """The application, over TLS and with a token."""
    with serving(OtherApp(token="let-me-in"), tls=True) as app:
        yield app


@pytest.fixture
def app(running: OtherApp) -> OtherApp:
    """The application, of which nothing was asked yet."""
    running.seen.clear()
    running.names.clear()
    running.change = lambda code, document: (code, document)
    return running


@pytest.fixture
def door(app: OtherApp) -> FrontDoor:
    """Its front door."""
    return replace(DOOR, port=app.port)


def opened(door: FrontDoor, **given: Any) -> httpx.Client:
    """A client for it."""
    return frontdoor.open_client(HERE, HOST, door, **given)


def test_a_program_is_run_over_tls_under_the_applications_name(app: OtherApp, door: FrontDoor) -> None:
    """The name is in Host and in SNI, though connections lead to the address; keys and words are its own."""
    with opened(door) as client:
        answer = frontdoor.double(client, door, "cpp", 21)
    [asked] = app.seen
    assert asked.headers["host"] == f"code.example:{app.port}"
    assert app.names == ["code.example"]
    assert asked.headers["x-auth-token"] == "let-me-in"
    assert asked.body == {"code": programs.DOUBLING["cpp"], "languageId": 54, "stdin": "21"}
    assert (answer.token, answer.status, answer.stdout) == ("", "Accepted", "42\n")
    assert answer.found == {
        "status": "OK", "stdout": "42\n", "stderr": None, "compile_output": None, "time": "0.011",
        "memory": 3300,
    }  # fmt: skip


def test_an_address_is_no_name_in_tls(app: OtherApp, door: FrontDoor) -> None:
    """Without a server name, SNI is left out, as RFC 6066 wants it."""
    with opened(replace(door, server_name="")) as client:
        assert client.get("/").status_code == 200
    assert app.names == [None]


def test_without_its_header_the_application_refuses(door: FrontDoor) -> None:
    """So it was the header that let the others in."""
    with (
        opened(replace(door, headers={})) as client,
        pytest.raises(CheckFailedError, match=r"code\.example.* 401 "),
    ):
        frontdoor.double(client, door, "python", 21)


def test_only_languages_that_the_topology_names_are_used(app: OtherApp, door: FrontDoor) -> None:
    """An id that none of our programs is written in is the application's matter."""
    assert frontdoor.languages(door) == {"python": 71, "cpp": 54}
    assert frontdoor.main_language(replace(door, languages={"c": 50, "bash": 46})) == "bash"
    assert frontdoor.languages(replace(door, languages={})) == IDS
    with opened(door) as client:
        for language in frontdoor.languages(door):
            frontdoor.double(client, door, language, 4)
    assert [each.body["languageId"] for each in app.seen] == [71, 54]


def test_words_without_a_meaning_stay_and_fail(app: OtherApp, door: FrontDoor) -> None:
    """The check says what the application said."""
    app.change = lambda code, document: (code, {"result": {**document["result"], "status": "odd"}})
    with opened(door) as client, pytest.raises(CheckFailedError, match="'status': 'odd'"):
        frontdoor.double(client, door, "python", 21)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("OK", 3),
        ("TLE", 5),
        (4, 4),
        ("4", 4),
        ("Wrong Answer", 4),
        (True, 3),
        (0, 13),
        ("odd", None),
        (99, None),
    ],
)
def test_a_status_is_a_word_of_the_applications_or_judge0s_own(given: Any, meant: int | None) -> None:
    """Words, numbers and booleans are mapped; what is Judge0's needs no map."""
    assert reading.status_of(given, {"OK": 3, "TLE": 5, "true": 3, "0": 13}) == meant


@pytest.mark.parametrize(
    ("part", "value", "right"),
    [("time", "0.011", True), ("time", None, False), ("memory", 0, True), ("memory", "much", False)],
)
def test_a_program_that_was_run_has_a_time_and_memory(
    app: OtherApp, door: FrontDoor, part: str, value: Any, right: bool
) -> None:
    """Where the topology says where they are."""
    app.change = lambda code, document: (code, {"result": {**document["result"], part: value}})
    with opened(door) as client:
        if right:
            assert frontdoor.double(client, door, "python", 21).found[part] == value
        else:
            with pytest.raises(CheckFailedError, match=f"its {part} is not a number"):
                frontdoor.double(client, door, "python", 21)


def test_parts_that_only_some_answers_have_may_be_missing(door: FrontDoor) -> None:
    """A program that compiled says nothing of a compiler; a status there must be."""
    reply = {"result": {"status": "OK", "output": "x"}}
    assert frontdoor.read_answer(door, reply).found == {"status": "OK", "stdout": "x"}
    with pytest.raises(CheckFailedError, match=r"no 'result\.status'"):
        frontdoor.read_answer(door, {"result": {"output": "x"}})


def route(door: FrontDoor) -> Route:
    """The route that a load takes to it."""
    node = SimpleNamespace(public_ip=HOST)
    session: Any = SimpleNamespace(door=door, target=HERE, deployment=SimpleNamespace(nodes={"client": node}))
    return client_route(session)


def test_a_load_asks_as_the_checks_do(app: OtherApp, door: FrontDoor) -> None:
    """TLS with the name, headers, ids and words; every answer is right."""
    count, found = 5, route(door)
    workload = Workload("one", (Program("double", "python", "x", "21", stdout="42"),))
    record, chosen = Recorder(count), np.zeros(count, dtype=np.int16)
    with closing(Engine(found.address, timeout=30)) as engine:
        protocol = open_protocol(found, workload, chosen, record, engine, timeout=30)

        def begin(number: int, intended: int) -> None:
            record.begin(number, intended)
            protocol.begin(number, intended)

        arrivals = np.arange(count, dtype=np.int64) * (SECOND // 1000)
        engine.run(arrivals, begin, over=lambda: record.ended == count, drain=30.0)
        protocol.finish()
    assert [Outcome(each) for each in record.samples()["outcome"]] == [Outcome.OK] * count, record.messages()
    assert {each.headers["host"] for each in app.seen} == {f"code.example:{app.port}"}
    assert {each.headers["x-auth-token"] for each in app.seen} == {"let-me-in"}
    assert {each.body["languageId"] for each in app.seen} == {71}
    assert set(app.names) == {"code.example"}


def test_a_load_in_another_language_is_refused(door: FrontDoor) -> None:
    """Before anything is sent, with the languages that there are."""
    workload = Workload("shell", (Program("hello", "bash", "echo"),))
    with pytest.raises(UsageError, match=r"no bash .* they have cpp, python"):
        check_route(route(door), workload)


def test_a_public_address_is_reached_at_the_doors_port() -> None:
    """Through a proxy as well; without a name of its own the front door is asked by its address."""
    proxied = replace(HERE, proxy="socks5://127.0.0.1:1080")
    plain = replace(DOOR, scheme="http", port=3000, server_name="")
    assert public_address(proxied, "203.0.113.9", DOOR).tls
    found = public_address(proxied, "203.0.113.9", plain)
    assert (found.kind, found.port, found.proxy, found.host_header) == ("socks", 3000, "127.0.0.1:1080", "")
    named = replace(DOOR, port=443)
    assert public_address(HERE, "203.0.113.9", named).host_header == "code.example"


@pytest.mark.parametrize("language", ["python", "bash"])
def test_a_failing_program_says_so_and_fails(language: str) -> None:
    """Run as it is, by this machine's own interpreters."""
    command = {"python": [sys.executable, "-c"], "bash": ["bash", "-c"]}[language]
    done = subprocess.run([*command, programs.failing(language, "so")], capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"so\n")
    slept = subprocess.run([*command, programs.sleeping(language, 0, "so")], capture_output=True, check=True)
    assert slept.stdout == b"so\n"


@pytest.mark.parametrize("language", IDS)
def test_a_sleeping_program_shows_its_nap_and_prints_its_text(language: str) -> None:
    """In every language that there is a program in."""
    source = programs.sleeping(language, "4.0123", "slept-1")
    assert "sleep 4.0123" in source
    assert "slept-1" in source
    assert "{{" not in source
