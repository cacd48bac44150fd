"""The reference Judge0 answers as Judge0 CE 1.13.1 did: 152 recorded requests, sent again.

A body that is the recorded one has the recorded ETag too: it is the same byte by byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from judge0_stack import Stack, wait_until_finished

RECORDED = Path(__file__).parents[3] / "shared" / "judge0-answers.jsonl"

pytestmark = [
    pytest.mark.docker,
    pytest.mark.skipif(not RECORDED.exists(), reason=f"{RECORDED} is not here"),
]

CONFIGURATIONS = {
    "default": {},
    "auth": {
        "AUTHN_TOKEN": "secret",
        "AUTHZ_TOKEN": "admin",
        "ENABLE_SUBMISSION_DELETE": "true",
        "ENABLE_COMMAND_LINE_ARGUMENTS": "false",
        "ALLOW_ENABLE_NETWORK": "false",
        "ENABLE_BATCHED_SUBMISSIONS": "false",
    },
    "maint": {"MAINTENANCE_MODE": "true", "ALLOWED_LANGUAGES_FOR_COMPILER_OPTIONS": "C++"},
    "queue": {"MAX_QUEUE_SIZE": "1"},
}

# Where the reference differs on purpose, or the recording depends on what its machine had done before.
NOT_COMPARED = {
    "wait_perl_accepted": "Perl is not among the languages",
    "wait_sql_accepted": "SQLite is not among the languages",
    "wait_missing_compiler": "Rust is not among the languages",
    "wait_missing_interpreter": "Node.js was missing there and is here",
    "wait_env_cwd": "a listing of the machine itself",
    "get_languages": "the reference lists what it can run",
    "get_languages_all": "the reference lists what it can run, beside what is archived (see below)",
    "get_about": "the reference has maintainers of its own",
    "get_workers": "no worker had registered there yet",
    "queue_workers": "the recording counts what it had queued before",
    "get_statistics": "counts of what its database held",
    "get_statistics_invalidate": "counts of what its database held",
    "auth_index": "its database held 172 submissions",
    "auth_index_pagebig": "its database held 172 submissions",
    "auth_delete_inqueue_or_processing": "its submission was made by a request not recorded",
    "show_nonutf8": "its submission was made by a request not recorded",
    "async_show_immediate": "depends on how fast the program ran",
    "batch_get_immediate": "depends on how fast the programs ran",
}
HEADERS = ("content-type", "cache-control", "vary", "access-control-allow-origin")
VOLATILE = {"time", "wall_time", "memory", "created_at", "finished_at", "token"}
# Where compilers and interpreters lie.
PATHS = re.compile(r"/usr/(local/)?(bash-5.0/|python-3.8.1/|gcc-9.2.0/)?bin/")
# A line that is repeated, such as a shell's complaints about a fork that fails.
AGAIN = re.compile(r"([^\n]+\n)\1+")


def records() -> list[dict[str, Any]]:
    return [json.loads(line) for line in RECORDED.read_text().splitlines()]


def shape(value: object, key: str = "") -> object:
    """The value with what differs from run to run replaced by its type."""
    if isinstance(value, dict):
        return {name: shape(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    if key in VOLATILE:
        return type(value).__name__
    return AGAIN.sub(r"\1", PATHS.sub("", value)) if isinstance(value, str) else value


def tokens_in(body: object) -> list[str]:
    items = body if isinstance(body, list) else [body]
    return [item["token"] for item in items if isinstance(item, dict) and "token" in item]


class Replay:
    """Sends recorded requests; remembers which token of ours stands for which of the recording's."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self._tokens: dict[str, str] = {}

    @property
    def tokens(self) -> list[str]:
        """Ours."""
        return [token for token in self._tokens.values() if token]

    def _ours(self, text: str) -> str:
        for theirs, ours in self._tokens.items():
            text = text.replace(theirs, ours)
        return text

    def send(self, record: dict[str, Any]) -> str | None:
        """What is different from the recorded answer, or None."""
        request, expected = record["request"], record["response"]
        headers = {name: self._ours(value) for name, value in request["headers"].items()}
        content = None if request["body"] is None else request["body"].encode()
        answer = self._client.request(
            request["method"], self._ours(request["path"]), headers=headers, content=content
        )
        body = answer.json() if "json" in answer.headers.get("content-type", "") else answer.text
        self._tokens.update(zip(tokens_in(expected["body"]), tokens_in(body), strict=False))
        seen = (answer.status_code, {name: answer.headers.get(name) for name in HEADERS}, shape(body))
        wanted = (
            expected["status"],
            {name: expected["headers"].get(name) for name in HEADERS},
            shape(expected["body"]),
        )
        etags = (answer.headers.get("etag"), expected["headers"].get("etag"))
        as_sent = etags[0] == etags[1] or body != expected["body"]
        if record["name"] in NOT_COMPARED or (seen == wanted and as_sent):
            return None
        return f"{record['name']}:\n  given    {seen!s:.600}\n  recorded {wanted!s:.600}\n  ETags {etags}"


def creates(record: dict[str, Any]) -> bool:
    return record["request"]["method"] == "POST" and record["response"]["status"] == 201


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as stack:
        yield stack


@pytest.mark.parametrize("config", CONFIGURATIONS)
def test_every_recorded_answer_is_given(stack: Stack, config: str) -> None:
    """Status, headers and body (ids, dates and figures by type) are those of Judge0 1.13.1."""
    # Each configuration has a queue of its own; the answers tell the default's name.
    version = {"JUDGE0_VERSION": "1.13.1-full" if config == "queue" else "1.13.1"}
    chosen = sorted((r for r in records() if r["config"] == config), key=lambda r: not creates(r))
    with ExitStack() as context:
        if config == "default":
            context.enter_context(stack.worker(COUNT="2", **version))
        client = context.enter_context(stack.server({**CONFIGURATIONS[config], **version}))
        replay = Replay(client)
        wrong = [replay.send(record) for record in chosen if creates(record)]
        if config == "default":
            wait_until_finished(client, *replay.tokens)
        wrong += [replay.send(record) for record in chosen if not creates(record)]
    assert not any(wrong), "\n".join(text for text in wrong if text)


def test_the_archived_languages_are_those_of_the_recording(stack: Stack) -> None:
    """Ids, names and order; the others are those that the reference can run."""
    [recorded] = [record for record in records() if record["name"] == "get_languages_all"]
    with stack.server() as client:
        shown = client.get("/languages/all").json()
        offered = client.get("/languages").json()
    assert [each for each in shown if each["is_archived"]] == [
        each for each in recorded["response"]["body"] if each["is_archived"]
    ]
    assert [{"id": each["id"], "name": each["name"]} for each in shown if not each["is_archived"]] == offered
    assert all(each in recorded["response"]["body"] for each in shown)
