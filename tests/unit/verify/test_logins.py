"""Who may log in to a database, and who of them is foreign."""

from __future__ import annotations

import io

import pytest

from harness.topology.deployment import Connection, DatabaseNode
from harness.verify.databases.login import RefusedError, _reply
from harness.verify.databases.users import LISTS, Login, foreign, of_acl


def cluster(engine: str, user: str = "doadmin") -> DatabaseNode:
    """A database of an engine."""
    at = Connection("h", 1, user, "AVNS_secret", "defaultdb", "")
    return DatabaseNode("main", "i", engine, "online", at, at, "PEM")


def test_whom_the_api_tells_of_may_log_in() -> None:
    """The cluster's own user, those made through the API, and PostgreSQL's own."""
    found = [Login("doadmin"), Login("app"), Login("postgres"), Login("_dodb")]
    assert foreign(found, cluster("pg"), ["doadmin", "app"]) == ()
    assert foreign([Login("default")], cluster("valkey"), []) == ()


@pytest.mark.parametrize("engine", ["pg", "valkey", "mongodb"])
def test_anybody_else_is_foreign(engine: str) -> None:
    """By name."""
    assert foreign([Login("wavetank_open")], cluster(engine), ["doadmin"]) == (
        "wavetank_open, which the API does not list, may log in",
    )


def test_who_needs_no_password_is_foreign_whoever_it_is() -> None:
    """Even the cluster's own user."""
    assert foreign([Login("default", open=True)], cluster("valkey", "default"), ["default"]) == (
        "default needs no password",
    )


def test_valkeys_list_tells_who_is_on_and_open() -> None:
    """A user that is off may not log in."""
    lines = ["user default on #abc ~* +@all", "user gone off nopass ~* +@all", "user open on nopass ~* +@all"]
    assert of_acl(lines) == (Login("default"), Login("open", open=True))


def test_engines_are_asked_in_their_own_words() -> None:
    """And what they answer is read."""
    answers = {"pg": [["a"]], "valkey": ["user a on #1"], "mongodb": {"users": [{"user": "a"}]}}
    assert {
        engine: LISTS[engine](lambda *_, told=told: told) for engine, told in answers.items()
    } == dict.fromkeys(answers, (Login("a"),))


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"+OK\r\n", "OK"),
        (b":7\r\n", 7),
        (b"$3\r\nabc\r\n", "abc"),
        (b"$-1\r\n", None),
        (b"*2\r\n$1\r\na\r\n:2\r\n", ["a", 2]),
    ],
)
def test_valkeys_replies_are_read(raw: bytes, told: object) -> None:
    """Words, numbers, texts, none, lists."""
    assert _reply(io.BytesIO(raw)) == told


def test_valkeys_refusals_and_what_is_no_reply() -> None:
    """An error is the server's own; anything else is no Valkey."""
    with pytest.raises(RefusedError, match="WRONGPASS"):
        _reply(io.BytesIO(b"-WRONGPASS no\r\n"))
    for raw in (b"", b"HTTP/1.1 400\r\n", b"$x\r\n"):
        with pytest.raises(EOFError):
            _reply(io.BytesIO(raw))
