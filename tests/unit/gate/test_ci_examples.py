"""The action and the GitLab template: run as the shell that they are, and every call is understood."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from ci_shell import Shell, action, gitlab
from ruamel.yaml import YAML

from harness.cli.main import cli
from harness.run.settings import PROJECT

ACTION = PROJECT / "action.yml"
WORKFLOW = PROJECT / "docs/ci/github-actions.yml"
TEMPLATE = PROJECT / "docs/ci/gitlab-ci.yml"

Run = Callable[..., tuple[bool, Shell]]


def document(file: Path) -> Any:
    """The file as data."""
    return YAML(typ="safe", pure=True).load(file.read_text())


def on_github(directory: Path, *, by_hand: bool, gate: int, **given: str) -> tuple[bool, Shell]:
    """The action, on a pull request or started by hand."""
    shell = Shell(directory, gate)
    event = "workflow_dispatch" if by_hand else "pull_request"
    return action(shell, document(ACTION), given, event=event), shell


def on_gitlab(directory: Path, *, by_hand: bool, gate: int, **given: str) -> tuple[bool, Shell]:
    """The template's job, on a merge request or started from the web page."""
    shell = Shell(directory, gate)
    variables = {f"WAVETANK_{name.upper()}": value for name, value in given.items()}
    source = "web" if by_hand else "merge_request_event"
    return gitlab(shell, document(TEMPLATE), variables, source=source), shell


@pytest.fixture(params=[on_github, on_gitlab], ids=["github", "gitlab"])
def ci(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """One of the two, on a repository that is empty but for a baseline, if there is to be one."""

    def run(*, by_hand: bool = False, gate: int = 0, baseline: str = "", **given: str) -> tuple[bool, Shell]:
        repository = tmp_path / "repository"
        if baseline:
            (repository / baseline).parent.mkdir(parents=True)
            (repository / baseline).touch()
            given = {**given, "baseline": baseline}
        found: tuple[bool, Shell] = request.param(repository, by_hand=by_hand, gate=gate, **given)
        return found

    return run


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


EVERY: tuple[Mapping[str, Any], ...] = (
    {},
    {"gate": 1},
    {"by_hand": True, "baseline": "ci/baseline.json"},
    {"topology": "my plan.yaml", "app": "my app", "baseline": "my baseline.json", "repetitions": "7"},
)


@pytest.mark.parametrize("given", EVERY, ids=str)
def test_every_call_is_understood(ci: Run, given: Mapping[str, Any]) -> None:
    """Its command is there, takes these options, and such values; with a baseline and without."""
    _, shell = ci(**given)
    for words in shell.of("wavetank"):
        understand(words)


def test_a_wrong_call_would_be_noticed() -> None:
    """Else the test above would be easy to please."""
    with pytest.raises(click.NoSuchOption):
        understand(["gate", "--no-such-option"])
    with pytest.raises(click.UsageError):
        understand(["gaet"])


def test_it_is_installed_first(ci: Run) -> None:
    """Into an environment of its own, and from where it is: the action from its own files."""
    _, shell = ci()
    assert [name for name, *_ in shell.calls[:3]] == ["python3", "pip", "wavetank"]
    (installed,) = shell.of("pip")
    assert installed[-1] in ("/actions/wavetank", "wavetank")


def test_it_stands_up_judges_and_takes_down(ci: Run) -> None:
    """In this order; without a baseline by objectives alone, and what goes well needs no logs."""
    well, shell = ci()
    assert well
    assert [words[0] for words in shell.of("wavetank")] == ["up", "gate", "down"]
    up, gate, _ = shell.of("wavetank")
    assert up == ["up", "--topology", "standard"]
    assert "--baseline" not in gate
    assert gate[gate.index("--junit") + 1] == "gate.xml"


def test_what_the_user_says_arrives(ci: Run) -> None:
    """Whole, whatever spaces are in it."""
    _, shell = ci(**EVERY[-1])
    up, gate, _ = shell.of("wavetank")
    assert up == ["up", "--topology", "my plan.yaml", "--app", "my app"]
    assert gate[:5] == ["gate", "--baseline", "my baseline.json", "--repetitions", "7"]


def test_a_gate_that_fails_fails_the_job(ci: Run) -> None:
    """The logs are kept, and everything is taken down all the same."""
    well, shell = ci(gate=1, by_hand=True)
    assert not well
    assert [words[0] for words in shell.of("wavetank")] == ["up", "gate", "logs", "down"]
    assert (shell.directory / "logs.txt").exists()


def test_started_by_hand_it_makes_a_baseline(ci: Run) -> None:
    """After the gate, and held against the one that there is."""
    _, shell = ci(by_hand=True, baseline="ci/baseline.json")
    assert [words[0] for words in shell.of("wavetank")] == ["up", "gate", "baseline", "down"]
    _, gate, baseline, _ = shell.of("wavetank")
    assert gate[:3] == ["gate", "--baseline", "ci/baseline.json"]
    assert baseline == ["baseline", "save", "baseline.json"]


@pytest.mark.parametrize("file", [ACTION, TEMPLATE], ids=lambda file: file.name)
def test_what_it_made_is_kept(file: Path) -> None:
    """Whatever became of it."""
    text = file.read_text()
    for kept in ("report.json", "gate.xml", "baseline.json", "logs.txt"):
        assert kept in text


def test_github_shows_the_summary_and_always_cleans_up() -> None:
    """The Markdown goes where GitHub looks for it; keeping and taking down are `always()`."""
    steps = document(ACTION)["runs"]["steps"]
    assert any('--markdown "$GITHUB_STEP_SUMMARY"' in step.get("run", "") for step in steps)
    assert [step.get("if") for step in steps[-2:]] == ["always()", "always()"]
    assert "upload-artifact" in steps[-2]["uses"]
    assert steps[-1]["run"] == "wavetank down"
    assert all(step.get("shell") == "bash" for step in steps if "run" in step)


def test_gitlab_reads_the_junit_and_always_cleans_up() -> None:
    """What comes after the script is run whether that failed or not."""
    job = document(TEMPLATE)["wavetank"]
    assert "gate.xml" in job["artifacts"]["reports"]["junit"]
    assert job["artifacts"]["when"] == "always"
    assert job["after_script"][-1] == "wavetank down"


def test_the_workflow_uses_the_action() -> None:
    """With inputs that it has, after the checkout, and no more."""
    checkout, ours = document(WORKFLOW)["jobs"]["gate"]["steps"]
    assert checkout["uses"].startswith("actions/checkout@")
    assert ours["uses"].startswith("OWNER/wavetank@")
    assert set(ours["with"]) <= set(document(ACTION)["inputs"])


def test_all_that_can_be_said_is_documented() -> None:
    """docs/ci.md has each input and each variable; its three lines for GitHub are those of the workflow."""
    text = (PROJECT / "docs/ci.md").read_text()
    for name in (*document(ACTION)["inputs"], *document(TEMPLATE)["variables"]):
        assert f"`{name}`" in text, name
    shown = [
        YAML(typ="safe", pure=True).load(each) for each in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    ]
    assert shown[0] == document(WORKFLOW)["jobs"]["gate"]["steps"]
    assert set(shown[1]["variables"]) <= set(document(TEMPLATE)["variables"])
