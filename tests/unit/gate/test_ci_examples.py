"""docs/ci: the examples are YAML, and every command of ours in them exists with the options it is given."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from harness.cli import cli
from harness.settings import PROJECT

EXAMPLES = sorted((PROJECT / "docs" / "ci").glob("*.yml"))
PROGRAM = ".venv/bin/wavetank"
ENDS = {"fi", "then", "else", "&&", "||", "|", ">", ";"}
# The step that this one of GitHub's and GitLab's shells expands: with a baseline, and without.
EXPANSIONS: tuple[tuple[str, ...], ...] = ((), ("--baseline", "ci/baseline.json"))


def document(file: Path) -> Any:
    """The example as data."""
    return YAML(typ="safe", pure=True).load(file.read_text())


def texts(data: Any) -> Iterator[str]:
    """Every text in it, at any depth."""
    if isinstance(data, str):
        yield data
    elif isinstance(data, dict):
        for value in data.values():
            yield from texts(value)
    elif isinstance(data, list):
        for value in data:
            yield from texts(value)


def lines(file: Path) -> list[str]:
    """Every line of shell that calls us or make."""
    found = [line for text in texts(document(file)) for line in text.splitlines()]
    return [line for line in found if PROGRAM in line or line.startswith("make ")]


def calls(line: str) -> Iterator[list[str]]:
    """The words of each call of ours in a line of shell, the program left out."""
    words = list(shlex.split(line.replace(";", " ; ")))
    for index, word in enumerate(words):
        if word == PROGRAM:
            rest = words[index + 1 :]
            end = next((at for at, each in enumerate(rest) if each in ENDS), len(rest))
            yield rest[:end]


CALLS = [(file, call) for file in EXAMPLES for line in lines(file) for call in calls(line)]


def understand(words: list[str]) -> click.Command:
    """Parse a call as the program would, without running it."""
    context: click.Context = click.Context(cli)
    name, command, rest = cli.resolve_command(context, words)
    while isinstance(command, click.Group):
        context = click.Context(command, parent=context)
        name, command, rest = command.resolve_command(context, rest)
    assert command is not None
    command.make_context(str(name), list(rest), parent=context)
    return command


def test_there_is_one_for_each_service() -> None:
    """GitHub and GitLab."""
    assert [file.name for file in EXAMPLES] == ["github-actions.yml", "gitlab-ci.yml"]


@pytest.mark.parametrize(
    ("file", "words"), CALLS, ids=lambda part: part.name if isinstance(part, Path) else " ".join(part)
)
def test_every_call_is_understood(file: Path, words: list[str]) -> None:
    """Its command is there, takes these options, and such values; with a baseline and without."""
    for expansion in EXPANSIONS:
        expanded = [each for word in words for each in (expansion if word == "$@" else (word,))]
        understand(expanded)


def test_a_wrong_call_would_be_noticed() -> None:
    """Else the test above would be easy to please."""
    with pytest.raises(click.NoSuchOption):
        understand(["gate", "--no-such-option"])
    with pytest.raises(click.UsageError):
        understand(["gaet"])


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_each_stands_up_judges_keeps_and_takes_down(file: Path) -> None:
    """In this order, the last two whatever happens."""
    named = [call[0] for where, call in CALLS if where == file]
    assert named[:2] == ["up", "gate"]
    assert named[-1] == "down"
    assert {"logs", "baseline"} <= set(named)
    text = file.read_text()
    for kept in ("report.json", "gate.xml", "baseline.json"):
        assert kept in text
    assert text.index("wavetank gate") < text.rindex("wavetank down")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_make_is_used_as_the_makefile_has_it(file: Path) -> None:
    """Its targets exist."""
    targets = {target for line in lines(file) for target in re.findall(r"^make ([a-z-]+)", line)}
    makefile = (PROJECT / "Makefile").read_text()
    assert targets
    for target in targets:
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_github_shows_the_summary_and_always_cleans_up() -> None:
    """The Markdown goes where GitHub looks for it; keeping and taking down are `always()`."""
    steps = document(EXAMPLES[0])["jobs"]["gate"]["steps"]
    assert any('--markdown "$GITHUB_STEP_SUMMARY"' in step.get("run", "") for step in steps)
    assert [step.get("if") for step in steps[-2:]] == ["always()", "always()"]
    assert "upload-artifact" in steps[-2]["uses"]
    assert steps[-1]["run"] == f"{PROGRAM} down"


def test_gitlab_reads_the_junit_and_always_cleans_up() -> None:
    """What comes after the script is run whether that failed or not."""
    job = document(EXAMPLES[1])["gate"]
    assert "gate.xml" in job["artifacts"]["reports"]["junit"]
    assert job["artifacts"]["when"] == "always"
    assert job["after_script"][-1] == f"{PROGRAM} down"
