"""The text of a stack: what could be taken for anything but text is in quotes."""

from __future__ import annotations

import pytest

from harness.stack import write


@pytest.mark.parametrize(
    "word", ["judge0-lb", "/run/app", "node.role == worker", "http://a:80/b", "app/web:1"]
)
def test_plain_words_stay_plain(word: str) -> None:
    """So that a person can read it."""
    assert write.text({"a": word}) == f"a: {word}\n"


@pytest.mark.parametrize(
    "word", ["yes", "No", "on", "null", "", "1", "0x1f", "1e3", "22:22", "~", "a: b", "a #b", "-"]
)
def test_what_a_reader_could_take_otherwise_is_quoted(word: str) -> None:
    """Truth values and numbers, of YAML 1.1 too, and what has a meaning of its own."""
    assert write.text({"a": [word]}) == f'a:\n  - "{word}"\n'


def test_what_cannot_be_printed_is_escaped() -> None:
    """Also letters that do not fit into 16 bits."""
    assert write.text({"a": 'b"\\\n\x07\u2028\U00010000'}) == 'a: "b\\"\\\\\\n\\u0007\\u2028\\U00010000"\n'


def test_empty_things_stay_what_they_are() -> None:
    """An empty list is none of nothing."""
    assert write.text({"a": {}, "b": [], "c": True, "d": 5}) == "a: {}\nb: []\nc: true\nd: 5\n"


def test_dollar_signs_are_doubled_in_values() -> None:
    """Docker replaces variables in values only."""
    assert write.escaped({"$a": ["$b", 1], "c": {"d": "$$"}}) == {"$a": ["$$b", 1], "c": {"d": "$$$$"}}
