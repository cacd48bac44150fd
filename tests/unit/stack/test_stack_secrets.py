"""Passwords go into a secret, and the program still finds them in its environment."""

from __future__ import annotations

import os
import shlex
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stack_helpers import (
    PASSWORD,
    a_service,
    a_source,
    a_topology,
    compose,
    converted,
    notes_of,
    refusal,
    web,
)

from harness.core.errors import TopologyError
from harness.stack import convert, secret_names
from harness.stack.steps.program import FILE

URL = f"mongodb://admin:{PASSWORD}@db:27017/shop"
SECRETS = {"DB_PASSWORD": PASSWORD, "DB_URL": URL}


def only_secret(lines: str, **more: Any) -> str:
    """The content of the only secret."""
    (content,) = converted(compose(lines), **more).secrets.values()
    return content.decode()


@pytest.mark.parametrize(
    ("name", "value", "secret"),
    [
        ("POSTGRES_PASSWORD", "x", True),
        ("PGPASSWORD", "x", True),
        ("AUTHN_TOKEN", "x", True),
        ("STRIPE_API_KEY", "x", True),
        ("DB_PASS", "x", True),
        ("GREETING", f"say {PASSWORD}!", True),
        ("DATABASE_URL", "postgres://u:p@h/d", True),
        ("POSTGRES_PASSWORD", "", False),
        ("POSTGRES_PASSWORD_FILE", "/run/x", False),
        ("DATABASE_URL", "postgres://h:5432/d", False),
        ("COMPASS", "north", False),
        ("REDIS_HOST", "redis", False),
    ],
)
def test_what_is_secret_is_told_by_name_and_by_value(name: str, value: str, secret: bool) -> None:
    """A name that says so, a known password in the value, or a URL with one."""
    assert secret_names({name: value}, [PASSWORD]) == (frozenset([name]) if secret else frozenset())


def test_a_password_is_found_in_a_url_too() -> None:
    """There it is written otherwise."""
    assert secret_names({"A": "pg://u:a%2Fb%2Bc%3Dd@h"}, ["a/b+c=d"]) == {"A"}


def test_passwords_are_in_the_secret_and_nowhere_else() -> None:
    """Neither as they are nor as a part of a URL."""
    stack = converted(compose("env_file: .env"), environment={**SECRETS, "DB_HOST": "db"})
    assert PASSWORD not in stack.text
    assert stack.document["services"]["web"]["environment"] == {"DB_HOST": "db"}
    (content,) = stack.secrets.values()
    assert content.decode() == f"DB_PASSWORD={PASSWORD}\nDB_URL={URL}\n"
    assert PASSWORD not in repr(stack)


def test_a_password_in_a_default_or_written_out_is_secret_by_its_variables_name() -> None:
    """The compose file itself may hold one."""
    said = only_secret("environment: {DB_PASSWORD: '${NONE:-hunter22}', API_TOKEN: abcdefgh}")
    assert said == "API_TOKEN=abcdefgh\nDB_PASSWORD=hunter22\n"


def test_a_variable_that_takes_a_password_in_is_secret() -> None:
    """Whatever it is called."""
    assert only_secret("environment: ['LOGIN=u:${DB_PASSWORD}']", environment=SECRETS) == (
        f"LOGIN=u:{PASSWORD}\n"
    )


def test_a_setting_with_a_secrets_name_hides_nothing_else() -> None:
    """What is short and common is no password where it is found."""
    stack = converted(compose("env_file: .env"), environment={"SECRET_MODE": "true", "DEBUG": "true"})
    assert stack.document["services"]["web"]["environment"] == {"DEBUG": "true"}


def test_a_variable_that_takes_a_short_password_in_is_secret_too() -> None:
    """By where it comes from; by its letters nobody would know."""
    assert only_secret("environment: ['LOGIN=${DB_PASSWORD}']", environment={"DB_PASSWORD": "web"}) == (
        "LOGIN=web\n"
    )


def test_a_secrets_name_changes_with_its_content_only() -> None:
    """A swarm cannot change a secret; a new password is a new name, and an old one is not made again."""
    (one,) = converted(compose("env_file: .env"), environment=SECRETS).secrets
    (same,) = converted(compose("env_file: .env"), environment=dict(reversed(SECRETS.items()))).secrets
    (other,) = converted(compose("env_file: .env"), environment={**SECRETS, "DB_PASSWORD": "new"}).secrets
    assert one == same != other
    assert one.startswith("app_web-environment-")


def test_without_secrets_nothing_is_wrapped() -> None:
    """No shell where none is needed, and no program where the image knows it."""
    body, stack = web("environment: {A: b}", known=False)
    assert stack.secrets == {}
    assert "entrypoint" not in body
    assert "command" not in body


@pytest.mark.parametrize(
    ("lines", "program"),
    [
        ("env_file: .env", ["/entry", "serve"]),
        ("env_file: .env\ncommand: run 'a b'", ["/entry", "run", "a b"]),
        ("env_file: .env\nentrypoint: [/other]", ["/other"]),
        ("env_file: .env\nentrypoint: /other -x\ncommand: [run]", ["/other", "-x", "run"]),
        ("env_file: .env\nentrypoint: []\ncommand: [run]", ["run"]),
    ],
)
def test_the_wrapper_becomes_what_the_container_ran(lines: str, program: list[str]) -> None:
    """The compose file's words win over the image's, as they do in compose."""
    body, _ = web(lines, environment=SECRETS)
    assert body["entrypoint"][:2] == ["/bin/sh", "-c"]
    assert body["command"] == program


@pytest.mark.parametrize("lines", ["env_file: .env", "env_file: .env\ncommand: run"])
def test_secrets_for_a_program_that_is_not_known_are_refused(lines: str) -> None:
    """Nobody could start it."""
    assert "entrypoint:" in refusal(compose(lines), environment=SECRETS, known=False).remedy


def started(wrapper: list[str], content: bytes, command: list[str], directory: Path) -> list[str]:
    """What a program sees that is started by the wrapper, with the secret's file where it will be."""
    file = directory / FILE
    file.write_bytes(content)
    argv = [
        each.replace("$$", "$").replace(f"/run/secrets/{FILE}", shlex.quote(str(file))) for each in wrapper
    ]
    done = subprocess.run(
        [*argv, *command], env={"PATH": os.environ["PATH"]}, capture_output=True, check=True
    )
    return done.stdout.decode().split("\0")


# What a variable may hold: anything but NUL, and text that can be told to a process.
VALUE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=40)


@settings(deadline=None, max_examples=8)
@given(values=st.lists(VALUE, min_size=1, max_size=10))
def test_a_real_shell_hands_on_what_was_said(
    values: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Quotes, dollars, newlines, whatever: the program's environment has the very values."""
    if any("\ue000" <= each <= "\ue003" for value in values for each in value):
        return  # our own marks
    environment = {f"P{number}_PASSWORD": value for number, value in enumerate(values)}
    body, stack = web("env_file: .env", environment=environment)
    (content,) = stack.secrets.values()
    script = "".join(f'printf "%s\\0" "${name}";' for name in environment) + 'printf "%s" "$*"'
    seen = started(
        body["entrypoint"], content, ["/bin/sh", "-c", script, "sh", "a b"], tmp_path_factory.mktemp("sh")
    )
    assert seen == [*values, "a b"]


@pytest.mark.parametrize(
    ("test", "said"),
    [
        ('["CMD", "probe", "a b"]', ["CMD", "/bin/sh", "-c", None, "sh", "probe", "a b"]),
        ("probe $$DB_PASSWORD", ["CMD-SHELL", "; probe $$DB_PASSWORD"]),
    ],
)
def test_a_health_check_gets_the_secrets_too(test: str, said: list[str | None]) -> None:
    """Docker runs it beside the program, with the container's variables only."""
    body, _ = web(f"env_file: .env\nhealthcheck: {{test: {test}}}", environment=SECRETS)
    for word, wanted in zip(body["healthcheck"]["test"], said, strict=True):
        assert wanted is None or word.endswith(wanted)
    assert any("/run/secrets/environment" in word for word in body["healthcheck"]["test"])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("healthcheck: {test: 'probe -a ${DB_PASSWORD} \"a b\"'}", f"-a {PASSWORD} a b"),
        ("healthcheck: {test: [CMD, probe, -H, 'Token: ${DB_PASSWORD}']}", f"-H Token: {PASSWORD}"),
        (
            "environment: {TOKEN: hunter2222}\nhealthcheck: {test: [CMD, probe, 'Token: hunter2222']}",
            "Token: hunter2222",
        ),
        (
            "environment: {TOKEN: tok12}\nhealthcheck: {test: [CMD, probe, 'Token: tok12']}",
            "Token: tok12",
        ),
        (
            "environment: {TOKEN: hunter2222}\nhealthcheck: {test: [CMD, probe, -phunter2222]}",
            "-phunter2222",
        ),
    ],
)
def test_a_health_check_that_holds_a_password_is_a_script_in_a_secret(
    lines: str, said: str, tmp_path: Path
) -> None:
    """A service's definition shows the check to everybody; a shell runs what was written."""
    body, stack = web(lines, environment=SECRETS)
    assert body["healthcheck"]["test"] == ["CMD", "/bin/sh", "/run/secrets/healthcheck"]
    assert PASSWORD not in stack.text
    assert "hunter2222" not in stack.text
    (content,) = (text for name, text in stack.secrets.items() if "-healthcheck-" in name)
    (tmp_path / "probe").write_text('#!/bin/sh\necho "$*"\n')
    (tmp_path / "probe").chmod(0o755)
    script = content.decode().replace("set -a; . /run/secrets/environment; set +a; ", "")
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["/bin/sh", "-c", script], env=path, capture_output=True, check=True)
    assert done.stdout.decode().strip() == said
    assert len(notes_of(stack, "healthcheck.test")) == 1


def test_a_health_check_shows_a_name_that_is_a_password_too() -> None:
    """``postgres`` is a user, a host and an image, and ``password`` a part of other words."""
    text = "[CMD, probe, -U, postgres, --password-file, x]"
    body, _ = web(
        "environment: {DB_USER: postgres, DB_PASSWORD: postgres, TOKEN: password}\n"
        f"healthcheck: {{test: {text}}}"
    )
    assert body["healthcheck"]["test"][-5:] == ["probe", "-U", "postgres", "--password-file", "x"]


@pytest.mark.parametrize(
    "lines",
    [
        "command: [redis-server, --requirepass, '${DB_PASSWORD}']",
        "command: redis-server --requirepass ${DB_PASSWORD}",
        "labels: {login: 'x${DB_PASSWORD}'}",
        "hostname: ${DB_PASSWORD}",
    ],
)
def test_a_password_where_all_would_see_it_is_refused(lines: str) -> None:
    """The error says where, and does not show the password either."""
    error = refusal(compose(lines), environment=SECRETS)
    assert PASSWORD not in str(error)
    assert "$$NAME" in error.remedy
    assert error.field.startswith(f"services.web.{lines.partition(':')[0]}")


def test_a_password_is_noticed_by_its_name_though_nobody_said_so() -> None:
    """Whoever gathered the source may know of none."""
    source = a_source(compose("command: [run, '${DB_PASSWORD}']"), environment=SECRETS)
    with pytest.raises(TopologyError, match="it holds a password"):
        convert(a_topology(source.service), [replace(source, secret=frozenset())], ipvs=False)


def test_a_short_password_is_noticed_by_where_it_comes_from() -> None:
    """Nobody could search for it: its letters are in other words."""
    error = refusal(compose("command: [run, '${DB_PASSWORD}']"), environment={"DB_PASSWORD": "web"})
    assert error.field == "services.web.command[1]"


def test_a_password_that_is_written_out_elsewhere_is_refused() -> None:
    """What one variable says is secret is not to be seen in a command either."""
    lines = "environment: {REDIS_PASSWORD: hunter2222}\ncommand: [redis-server, --requirepass, hunter2222]"
    error = refusal(compose(lines))
    assert "hunter2222" not in str(error)
    assert "REDIS_PASSWORD" in str(error)


def test_a_short_password_is_no_part_of_a_longer_word() -> None:
    """It counts where it stands by itself, in a URL too, and not within another word."""
    lines = "environment: {REDIS_PASSWORD: hunter2222}\ncommand: [serve, PLACE]"
    assert web(lines.replace("PLACE", "xhunter2222-y"))[0]["command"][-1] == "xhunter2222-y"
    refusal(compose(lines.replace("PLACE", "'redis://:hunter2222@cache'")))
    refusal(compose(lines.replace("PLACE", "-phunter2222")))
    assert web(lines.replace("PLACE", "x-phunter2222"))[0]["command"][-1] == "x-phunter2222"


def test_a_password_of_one_service_is_not_seen_in_another() -> None:
    """All services are looked at for all passwords."""
    one = a_source(compose("environment: {DB_PASSWORD: hunter2222}"))
    text = "services: {api: {image: a, command: [serve, hunter2222]}}"
    sources = [one, a_source(text, a_service("api"))]
    with pytest.raises(TopologyError, match="DB_PASSWORD holds"):
        convert(a_topology(*(each.service for each in sources)), sources, ipvs=False)


def test_names_that_no_shell_hands_on_are_refused_beside_secrets() -> None:
    """A shell would drop them without a word."""
    text = compose("environment: {'my.name': a, DB_PASSWORD: b}")
    assert "my.name" in str(refusal(text))
    assert converted(compose("environment: {'my.name': a}")).secrets == {}


def test_env_files_count_in_their_order_and_environment_last(tmp_path: Path) -> None:
    """As in compose; the topology's values are those of ``.env``."""
    (tmp_path / "a.env").write_text("A=1\nB=1\nC='$x' # no\nD=${HOST}/y\n")
    (tmp_path / "b.env").write_text("B=2\nHOST=theirs\n")
    lines = (
        "env_file: [.env, a.env, {path: b.env}, {path: none.env, required: false}]\nenvironment: {A: 3, HOST}"
    )
    service = a_service(compose=tmp_path / "docker-compose.yml")
    body, stack = web(lines, service, environment={"HOST": "ours", "E": "5"})
    wanted = {"HOST": "ours", "E": "5", "A": "3", "B": "2", "C": "$$x", "D": "ours/y"}
    assert body["environment"] == wanted
    assert any("none.env is not there" in note.what for note in stack.notes)


def test_an_env_file_that_is_not_there_is_refused() -> None:
    """It was not marked as one that may be missing."""
    assert "there is no /nowhere/app/some.env" in str(refusal(compose("env_file: some.env")))


def test_a_variable_without_a_value_anywhere_is_left_out() -> None:
    """As compose does, with a note."""
    body, stack = web("environment: [NOBODY, A=1]")
    assert body["environment"] == {"A": "1"}
    assert any("NOBODY has no value" in note.what for note in stack.notes)


def test_go_templates_come_out_as_they_went_in() -> None:
    """A swarm would expand them in variables; compose does not."""
    body, _ = web("environment: {FORMAT: '{{.Name}}'}")
    assert body["environment"]["FORMAT"] == '{{"{{"}}.Name}}'
