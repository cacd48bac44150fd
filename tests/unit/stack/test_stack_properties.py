"""Whatever a compose file says: nothing is dropped in silence, no secret is shown, all is read as meant."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.constructor import SafeConstructor
from stack_helpers import ID, PASSWORD, SAID, a_service, converted

from harness.core.errors import TopologyError
from harness.stack import Stack, write
from harness.stack.keys import table
from harness.stack.steps.passed_through import PASSED_THROUGH
from harness.stack.steps.unsupported import LEFT_OUT, REFUSED

# Any text that YAML and a process's environment can hold, and none of our own marks.
TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cn"], exclude_characters="\0\ue000\ue001\ue002\ue003"),
    max_size=30,
)
WORD = st.text("abcdefgh", min_size=1, max_size=6)
TRICKY = st.sampled_from(
    [
        *(
            "$",
            "$$",
            "${A}",
            "${A:-b}",
            "$A",
            "yes",
            "No",
            "0x1f",
            "0777",
            "1e3",
            "22:22",
            "null",
            "~",
            "- a",
        ),
        *(
            "a: b",
            "a #b",
            "'",
            '"',
            "\\",
            "{{.X}}",
            "\n",
            " a ",
            "2001-01-01",
            "*a",
            "&a",
            "!x",
            "%",
            "@",
            "`",
        ),
        *("\u00e9", "\u2028"),
    ]
)
VALUE = TRICKY | TEXT | st.integers(0, 99).map(str)
TRUTH = st.booleans()
WORDS = st.lists(WORD, min_size=1, max_size=3, unique=True)

# A value for each key that compose files have; a text where any would do.
SAYS: Mapping[str, st.SearchStrategy[Any]] = {
    **{key: st.just(YAML(typ="safe", pure=True).load(SAID.get(key, "[x]"))) for key in table()},
    "build": st.just("."),
    "cap_add": st.lists(st.sampled_from(["SYS_ADMIN", "NET_ADMIN"]), min_size=1, unique=True),
    "cap_drop": WORDS,
    "container_name": WORD,
    "extends": st.just({"service": "db"}),
    "hostname": WORD,
    "image": WORD,
    "stop_signal": st.just("SIGINT"),
    "working_dir": st.just("/srv"),
    "command": WORDS | WORD,
    "configs": st.just(["known"]),
    "cpu_period": st.integers(1000, 100000),
    "cpu_quota": st.integers(1000, 100000),
    "cpus": st.floats(0.1, 4).map(lambda number: round(number, 2)),
    "deploy": st.fixed_dictionaries(
        {}, optional={"mode": st.just("replicated"), "labels": st.just({"a": "b"})}
    ),
    "dns": st.just(["10.0.0.1"]),
    "dns_search": WORDS,
    "entrypoint": WORDS,
    "env_file": st.just(".env"),
    "environment": st.dictionaries(WORD, VALUE, min_size=1, max_size=4),
    "extra_hosts": st.just(["db:10.0.0.1"]),
    "healthcheck": st.fixed_dictionaries(
        {"test": WORDS.map(lambda words: ["CMD", *words])},
        optional={"interval": st.just("1s") | st.just("1m")},
    ),
    "init": TRUTH,
    "ipc": st.sampled_from(["private", "host"]),
    "labels": st.dictionaries(WORD, VALUE, min_size=1, max_size=3),
    "links": st.just(["db:alias"]),
    "logging": st.just({"driver": "json-file"}),
    "mem_limit": st.sampled_from(["64m", 1 << 27]),
    "mem_reservation": st.just("32m"),
    "network_mode": st.sampled_from(["bridge", "host"]),
    "networks": st.sampled_from([["a"], {"a": {"aliases": ["b"]}}]),
    "pid": st.sampled_from(["private", "host"]),
    "ports": st.sampled_from([["80:80"], [80], [{"target": 80, "published": 8080}]]),
    "privileged": TRUTH,
    "profiles": st.just(["debug"]),
    "read_only": TRUTH,
    "restart": st.sampled_from(["always", "no", "on-failure:2"]),
    "scale": st.integers(1, 3),
    "secrets": st.just(["known"]),
    "security_opt": st.sampled_from([["apparmor=unconfined"], ["no-new-privileges:true"]]),
    "shm_size": st.just("64m"),
    "stdin_open": TRUTH,
    "stop_grace_period": st.just("10s"),
    "sysctls": st.just({"net.core.somaxconn": 5}),
    "tmpfs": st.sampled_from(["/run", ["/run:size=1m"], ["/run:mode=700"]]),
    "tty": TRUTH,
    "ulimits": st.just({"nofile": {"soft": 5, "hard": 6}}),
    "user": st.integers(0, 9).map(str) | WORD,
    "volumes": st.sampled_from([["data:/d"], ["/abs:/d"], ["/d"], ["./none:/d"]]),
}
KEYS = [key for key in SAYS if key != "profiles"]
BODY = st.lists(st.sampled_from(KEYS), unique=True, max_size=8).flatmap(
    lambda keys: st.fixed_dictionaries({key: SAYS[key] for key in keys})
)
# Of these a stack is made in any case, so several of them can be read at once.
FINE = {
    **{key: value for key, value in SAYS.items() if key not in REFUSED},
    "depends_on": st.just(["db"]),
    "ipc": st.just("private"),
    "network_mode": st.just("bridge"),
    "pid": st.just("private"),
    "ports": st.sampled_from([["80"], [80], [{"target": 80, "published": 8080}]]),
    "volumes": st.sampled_from([["data:/d"], ["/abs:/d"], ["/d"]]),
}
NOT_TWICE = ("container_name", "extends", "label_file", "links", "profiles")
FINE_KEYS = [key for key in FINE if key not in NOT_TWICE]
FINE_BODY = st.lists(st.sampled_from(FINE_KEYS), unique=True, max_size=8).flatmap(
    lambda keys: st.fixed_dictionaries(
        {key: FINE[key] for key in keys if not (key == "network_mode" and "networks" in keys)}
    )
)
FINE_BODIES = st.lists(FINE_BODY, min_size=1, max_size=6)


def deployed(body: Mapping[str, Any], *path: str) -> bool:
    """Whether there is something at this place of the ``deploy`` section."""
    found: Any = body["deploy"]
    for key in path:
        found = found.get(key, {})
    return bool(found)


# Where each key that is something else in a stack is found there; a note will do as well.
THERE: Mapping[str, Callable[[Mapping[str, Any]], bool]] = {
    "build": lambda body: "image" in body,
    "cap_add": lambda body: "cap_add" in body,
    "command": lambda body: "command" in body,
    "configs": lambda body: "configs" in body,
    "cpu_period": lambda body: True,  # it says something together with cpu_quota only
    "cpu_quota": lambda body: deployed(body, "resources", "limits", "cpus"),
    "cpus": lambda body: deployed(body, "resources", "limits", "cpus"),
    "deploy": lambda body: "deploy" in body,
    "entrypoint": lambda body: "entrypoint" in body,
    "extends": lambda body: "image" in body,
    "env_file": lambda body: "environment" in body and "secrets" in body,
    "environment": lambda body: "environment" in body,
    "healthcheck": lambda body: "healthcheck" in body,
    "image": lambda body: "image" in body,
    "mem_limit": lambda body: deployed(body, "resources", "limits", "memory"),
    "mem_reservation": lambda body: deployed(body, "resources", "reservations", "memory"),
    "restart": lambda body: deployed(body, "restart_policy"),
    "scale": lambda body: deployed(body, "replicas"),
    "secrets": lambda body: "secrets" in body,
    "shm_size": lambda body: any(each["target"] == "/dev/shm" for each in body["volumes"]),
    "tmpfs": lambda body: any(each["target"] == "/run" for each in body["volumes"]),
    "volumes": lambda body: any(each["target"] == "/d" for each in body["volumes"]),
}


def file_of(*bodies: Mapping[str, Any]) -> str:
    """A compose file of services ``web``, ``s1``, ...; it is held against another writer's below."""
    named = {f"s{number}" if number else "web": {"image": "w", **body} for number, body in enumerate(bodies)}
    document = {
        "services": {**named, "db": {"image": "d"}},
        "networks": {"a": {}},
        "volumes": {"data": {}},
        "configs": {"known": {"content": "text"}},
        "secrets": {"known": {"environment": "KNOWN"}},
    }
    return write.text(document)


def outcome(body: Mapping[str, Any], environment: Mapping[str, str]) -> Stack | TopologyError:
    """What becomes of a compose file of one service: a stack, or why there is none."""
    try:
        return converted(file_of(body), a_service(cap_add=("SYS_ADMIN",)), environment=environment)
    except TopologyError as error:
        return error


def noted(stack: Stack, key: str, service: str = "web") -> bool:
    """Whether a note is about this key."""
    place = f"web: services.{service}.{key}"
    return any(note.where == place or note.where.startswith(f"{place}.") for note in stack.notes)


def check_nothing_is_dropped(stack: Stack, body: Mapping[str, Any], service: str, title: str) -> None:
    """Each key of a service is in the stack, or has a note."""
    made = stack.document["services"][title]
    for key, value in body.items():
        assert key not in REFUSED
        if key in PASSED_THROUGH:
            assert key in made or value is False
        elif key in LEFT_OUT:
            assert noted(stack, key, service)
        elif not (key in THERE and THERE[key](made)):
            assert noted(stack, key, service) or value is False


@settings(deadline=None, max_examples=30)
@given(body=BODY)
def test_every_key_is_in_the_stack_or_has_a_note_or_is_refused(body: dict[str, Any]) -> None:
    """Nothing of a compose file is dropped in silence."""
    environment = {"A": "a", "DB_PASSWORD": PASSWORD, "KNOWN": "k"}
    stack = outcome(body, environment)
    if isinstance(stack, TopologyError):
        assert stack.remedy
        assert any(key in stack.field for key in body)
        return
    check_nothing_is_dropped(stack, body, "web", "web")
    assert PASSWORD not in stack.text


@settings(deadline=None, max_examples=30)
@given(bodies=FINE_BODIES)
def test_every_key_that_a_stack_can_have_is_in_it_or_has_a_note(bodies: list[dict[str, Any]]) -> None:
    """The same for many services at once, none of which is refused."""
    environment = {"A": "a", "DB_PASSWORD": PASSWORD, "KNOWN": "k"}
    stack = converted(file_of(*bodies), a_service(cap_add=("SYS_ADMIN",)), environment=environment)
    for number, body in enumerate(bodies):
        name, title = (f"s{number}", f"web-s{number}") if number else ("web", "web")
        check_nothing_is_dropped(stack, body, name, title)
    assert PASSWORD not in stack.text


@settings(deadline=None, max_examples=100)
@given(values=st.lists(VALUE, max_size=8), keys=st.lists(VALUE, max_size=4))
def test_text_is_read_as_it_is_meant(values: list[str], keys: list[str]) -> None:
    """The writer's YAML says the same to a reader of YAML 1.2."""
    document = {"a": values, "b": dict(zip(keys, values, strict=False))}
    assert YAML(typ="safe", pure=True).load(write.text(document)) == document


@settings(deadline=None, max_examples=30)
@given(secret=st.text("abcdefghijklmnop$'\"{}%/ é", min_size=12, max_size=30), body=BODY)
def test_a_secret_is_never_shown(secret: str, body: dict[str, Any]) -> None:
    """Whatever it is made of, and wherever the file would put it."""
    assume(secret not in ID)
    lines = {**body, "environment": {"LOGIN": "u:${DB_PASSWORD}", "PLAIN": "a"}}
    stack = outcome(lines, {"DB_PASSWORD": secret})
    if isinstance(stack, TopologyError):
        assert secret not in str(stack)
        return
    assert secret not in json.dumps(stack.document, ensure_ascii=False)
    assert not any(secret in str(note) for note in stack.notes)


def strings(value: Any) -> list[str]:
    """All texts of a document."""
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in strings(each)]


@cache
def can_show_stacks() -> bool:
    """Whether this machine's docker has ``stack config`` (since 24)."""
    if shutil.which("docker") is None:
        return False
    return (
        subprocess.run(["docker", "stack", "config", "--help"], capture_output=True, check=False).returncode
        == 0
    )


def as_docker_reads_it(stack: Stack) -> dict[str, Any]:
    """The stack's services as Docker's own reader has them: validated, and with dollar signs for two."""
    if not can_show_stacks():
        pytest.skip("docker stack config: this machine's docker does not have it")
    done = subprocess.run(
        ["docker", "stack", "config", "-c", "-"], input=stack.text.encode(), capture_output=True, check=False
    )
    assert done.returncode == 0, f"{done.stderr.decode()}\n{stack.text}"
    assert "Ignoring unsupported" not in done.stderr.decode()
    reader = YAML(typ="safe", pure=True)
    # Docker writes a bare "=", which YAML 1.1 has a type of its own for.
    reader.constructor.add_constructor("tag:yaml.org,2002:value", SafeConstructor.construct_yaml_str)
    found: dict[str, Any] = reader.load(done.stdout.decode())["services"]
    return found


@settings(deadline=None, max_examples=10)
@given(values=st.lists(VALUE, min_size=10, max_size=40))
def test_docker_reads_every_text_as_it_was_meant(values: list[str]) -> None:
    """Dollar signs, quotes, words that YAML 1.1 takes for numbers or truth: all through its own reader.

    A newline is put between letters: what is asked here is how Docker reads, and it writes a bare one oddly.
    """
    assume(can_show_stacks())
    values = [f"x{value}x" if "\n" in value else value for value in values]
    variables = {f"V{number}": value.replace("$", "$$") for number, value in enumerate(values) if value}
    body = {"environment": variables, "command": [value.replace("$", "$$") for value in values]}
    web = as_docker_reads_it(converted(file_of(body)))["web"]
    plain = {f"V{number}": value for number, value in enumerate(values) if value}
    assert {key: text.replace('{{"{{"}}', "{{") for key, text in web["environment"].items()} == plain
    assert web["command"] == values


@settings(deadline=None, max_examples=25)
@given(body=BODY)
def test_docker_takes_every_stack(body: dict[str, Any]) -> None:
    """Its schema finds nothing that is not allowed, and nothing is told to be ignored."""
    stack = outcome(body, {"DB_PASSWORD": PASSWORD})
    if isinstance(stack, TopologyError):
        return
    found = as_docker_reads_it(stack)["web"]
    assert found["image"].startswith("sha256:")
