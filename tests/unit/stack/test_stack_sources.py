"""Compose files as Docker reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import TopologyError
from harness.stack import taint
from harness.stack.compose import read

FILE = Path("docker-compose.yml")


def test_numbers_and_dates_are_read_as_docker_reads_them() -> None:
    """A leading zero is octal, ``yes`` is a word, and a date is a moment."""
    text = "x-x: {a: 0444, b: 0o444, c: yes, d: 2001-01-01, e: 08, f: 22:22}\nservices: {web: {image: w}}"
    assert read(text, {}, file=FILE).document["x-x"] == {
        "a": 0o444,
        "b": 0o444,
        "c": "yes",
        "d": "2001-01-01T00:00:00Z",
        "e": 8,
        "f": "22:22",
    }


def test_a_file_with_our_own_marks_is_refused() -> None:
    """They are nobody's characters, so that no value can be taken for a marked one."""
    with pytest.raises(TopologyError, match="private use"):
        read(f"services: {{web: {{image: '{taint.SECRET}'}}}}", {}, file=FILE)


def test_the_error_of_a_broken_file_has_its_line() -> None:
    """So that it can be found."""
    with pytest.raises(TopologyError) as caught:
        read("services:\n  web: {image: w\n  db: {image: d}\n", {}, file=FILE)
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("text", "names"), [("$${A}", ()), ("${A}", ("A",)), ("$$${A}${B}${A}", ("A", "B")), ("$A", ())]
)
def test_what_is_to_be_filled_in_is_found(text: str, names: tuple[str, ...]) -> None:
    """Two dollar signs are one that is meant."""
    assert taint.variables(text) == names
