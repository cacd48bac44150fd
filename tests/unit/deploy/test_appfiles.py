"""Reading what a compose file needs besides itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import TopologyError
from harness.deploy.appfiles import AppFiles, inside, read_app


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A directory that can be built in two places."""
    for folder in (tmp_path, tmp_path / "src"):
        folder.mkdir(exist_ok=True)
        (folder / "Dockerfile").write_text("FROM scratch\n")
    return tmp_path


def read(app: Path, text: str, **environment: str) -> AppFiles:
    """Read ``text`` as that directory's compose file."""
    return read_app(text, app / "docker-compose.yml", environment)


def test_both_spellings_of_build_are_read(app: Path) -> None:
    """A string is a context; a mapping may say more."""
    found = read(
        app,
        """
        services:
          a: {build: .}
          b: {build: {context: ./src, dockerfile: Dockerfile, target: last, args: [X=1, Y]}}
        """,
    )
    a, b = (container.build for container in found.containers)
    assert a is not None
    assert b is not None
    assert a.context == app
    assert b.context == app / "src"
    assert (b.target, dict(b.arguments)) == ("last", {"X": "1", "Y": ""})


def test_relative_files_and_mounts_are_found(app: Path) -> None:
    """Named volumes and absolute paths are the node's own."""
    found = read(
        app,
        """
        services:
          a:
            image: x
            env_file: [.env, {path: more.env}]
            extends: {file: base.yml, service: a}
            volumes:
              - ./conf:/conf:ro
              - data:/data
              - /etc/hosts:/hosts
              - {type: bind, source: ./long, target: /long}
              - {type: volume, source: data, target: /d}
        configs: {c: {file: ./c.conf}, outer: {external: true}}
        secrets: {s: {file: s.txt}}
        """,
    )
    assert found.paths == (".env", "more.env", "./conf", "./long", "base.yml", "./c.conf", "s.txt")


@pytest.mark.parametrize(
    ("written", "read_as"),
    [
        ("app:${TAG}", "app:7"),
        ("app:$TAG", "app:7"),
        ("app:${NONE:-latest}", "app:latest"),
        ("app:${TAG:-latest}", "app:7"),
        ("app:${TAG:+with}", "app:with"),
        ("app:$$TAG", "app:$TAG"),
    ],
)
def test_variables_are_replaced_as_compose_does(app: Path, written: str, read_as: str) -> None:
    """From what .env will hold."""
    found = read(app, f"services: {{a: {{image: '{written}'}}}}", TAG="7")
    assert found.containers[0].image == read_as


def test_missing_required_variable_is_named(app: Path) -> None:
    """With the words its author chose."""
    with pytest.raises(TopologyError, match="TAG is not set: say which"):
        read(app, "services: {a: {image: 'app:${TAG:?say which}'}}")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("services: [", "not YAML"),
        ("- a", "not a compose file"),
        ("version: '3'", "no services"),
        ("services: {a: {ports: ['1:1']}}", "neither image nor build"),
        ("services: {a: {build: nowhere}}", "there is no .*nowhere/Dockerfile"),
        ("services: {a: 7}", "not a mapping"),
    ],
)
def test_unusable_file_is_refused_with_a_remedy(app: Path, text: str, problem: str) -> None:
    """Naming the file."""
    with pytest.raises(TopologyError, match=problem) as caught:
        read(app, text)
    assert str(app / "docker-compose.yml") in str(caught.value)
    assert "remedy: " in str(caught.value)


def test_version_is_kept_as_text(app: Path) -> None:
    """Compose 1.29 compares it with the second file's."""
    assert read(app, "version: 3.8\nservices: {a: {image: x}}").version == "3.8"
    assert read(app, "services: {a: {image: x}}").version is None


@pytest.mark.parametrize(
    ("path", "normal"),
    [("./a/../b", "b"), (".", "."), ("..", None), ("../x", None), ("a/../../x", None), ("/etc", None)],
)
def test_paths_that_leave_the_directory_are_told(path: str, normal: str | None) -> None:
    """They have no place on the node."""
    assert inside(path) == normal
