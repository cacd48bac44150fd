"""docs/cli.md: every command and option is in it, and every example is one that the command line takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from harness.cli.main import cli
from harness.run.settings import PROJECT

TEXT = (PROJECT / "docs" / "cli.md").read_text()
EXAMPLES = re.findall(r"^\$ (.*)$", TEXT, re.MULTILINE)


def commands(group: click.Group = cli, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command with its full name, groups included."""
    for name, command in group.commands.items():
        yield f"{prefix}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")


def options() -> Iterator[tuple[str, str]]:
    """Every option of every command, and of the program itself."""
    for name, command in [("wavetank", cli), *commands()]:
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                yield from ((name, spelling) for spelling in parameter.opts)


@pytest.mark.parametrize("name", [name for name, _ in commands()])
def test_command_is_documented(name: str) -> None:
    """Each command has a section or, in a group, a mention."""
    group, _, sub = name.partition(" ")
    section = re.search(rf"^## {group}$(.*?)(?=^## |\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert section, f"no section for {group}"
    assert sub in section[1]


def test_every_option_is_documented() -> None:
    """Each spelling of each option stands in the document as code."""
    missing = [
        f"{name} {option}" for name, option in options() if not re.search(rf"[` ]{option}\b[^`\n]*`", TEXT)
    ]
    assert missing == []


@pytest.mark.parametrize("example", EXAMPLES)
def test_example_is_understood(example: str) -> None:
    """Each example parses: its commands and options exist and take such values."""
    words = [word for word in shlex.split(example) if not re.fullmatch(r"[A-Z]+=\w+", word)]
    assert words.pop(0) == "wavetank"
    context, command = click.Context(cli), click.Group.resolve_command(cli, click.Context(cli), words)
    while isinstance(command[1], click.Group):
        context, command = click.Context(command[1]), command[1].resolve_command(context, command[2])
    assert command[1] is not None
    command[1].make_context(str(command[0]), list(command[2]), parent=context, auto_envvar_prefix=None)


def test_there_are_examples_of_every_command() -> None:
    """No command is without an example."""
    shown = {example.split("wavetank ")[1].split()[0] for example in EXAMPLES}
    assert shown == set(cli.commands)


def test_every_command_says_what_it_does() -> None:
    """Help texts are there, for commands and for options."""
    silent = [name for name, command in commands() if not command.help]
    silent += [
        f"{name} {parameter.name}"
        for name, command in commands()
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.help
    ]
    assert silent == []
