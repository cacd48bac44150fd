"""``.env`` files: every value comes back the same. ``test_droplet_compose.py`` asks Compose itself."""

from __future__ import annotations

import io
import re
from contextlib import suppress
from pathlib import Path

import dotenv as python_dotenv
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from harness.compose.reader import read_variables
from harness.topology.rendering import dotenv

AWKWARD = st.text(st.sampled_from("ab \t\n#$\\'\"`{}()=:;,!%&*~é@-/"), max_size=12)
VALUES = AWKWARD | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


def read_file(text: str) -> dict[str, str | None]:
    """A whole file, by a reader that nobody here wrote; Compose leaves backslashes in single quotes alone."""
    stream = io.StringIO(text.replace("\\", "\\\\"))
    return dict(python_dotenv.dotenv_values(stream=stream, interpolate=False))


def read_value(written: str) -> str:
    """One value, as Compose v2 reads it in any of its versions; fails where they differ."""
    if written[:1] in ("'", '"'):
        inner = written[1:-1]
        assert written[-1] == written[0]
        assert written[0] not in inner
        assert not inner.endswith("\\")
        assert written[0] == "'" or not re.search(r"[\\$]", inner)
        return inner
    assert not re.search(r"[#$\s\\'\"]", written)
    return written


@settings(deadline=None)
@given(VALUES)
def test_a_value_is_read_back_or_refused(value: str) -> None:
    """Whatever a password holds, it arrives as it is, or the user is told."""
    try:
        written = dotenv.quote(value)
    except ValueError:
        assume(False)
    assert read_file(f"BEFORE=x\nKEY={written}\nAFTER=y\n") == {"BEFORE": "x", "KEY": value, "AFTER": "y"}
    assert read_value(written) == value


@pytest.mark.parametrize(
    "value",
    [
        "p4$$w0rd",
        "${HOME}",
        "a b",
        "#hash",
        "it's",
        'say "hi"',
        "back\\slash",
        "two\\\\ more",
        "a\nb",
        "ü",
        "",
    ],
)
def test_everyday_passwords_are_not_refused(value: str) -> None:
    """Dollars, blanks, hashes, quotes and backslashes each have a form."""
    assert read_value(dotenv.quote(value)) == value


@pytest.mark.parametrize("value", ["it's $5", "a\\\\b'", "end\\", "a\rb", "a\0b"])
def test_what_versions_of_compose_read_differently_is_refused(value: str) -> None:
    """Better an error than a password that is right on one node only."""
    with pytest.raises(ValueError, match=r"read alike|cannot carry"):
        dotenv.quote(value)


def test_a_users_own_file_keeps_everything_else() -> None:
    """Comments, order and other variables stay; only what the topology gives is replaced."""
    existing = "# mine\nexport A = old # why\nB='two\nA=lines'\n\nC=3\nA=again"
    assert dotenv.merge(existing, {"A": "n w", "D": "4"}) == (
        "# mine\nexport A='n w'\nB='two\nA=lines'\n\nC=3\nA='n w'\nD=4\n"
    )


def test_a_commented_variable_is_left_alone() -> None:
    """``# A=1`` is a comment, not an assignment."""
    assert dotenv.merge("# A=1\n", {"A": "2"}) == "# A=1\nA=2\n"


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from("ABCD"), VALUES, max_size=4),
    st.dictionaries(st.sampled_from("CDEF"), VALUES),
)
def test_merging_keeps_what_is_not_given(existing: dict[str, str], given_values: dict[str, str]) -> None:
    """The result reads as the old values overlaid by the new ones."""
    try:
        before = dotenv.merge("", existing)
        after = dotenv.merge(before, given_values)
    except ValueError:
        assume(False)
    assert read_file(after) == {**existing, **given_values}


@settings(deadline=None, max_examples=10)
@given(st.lists(VALUES, max_size=60))
def test_what_was_written_is_read_back(values: list[str]) -> None:
    """Compose itself agrees with our writer."""
    written: dict[str, str] = {}
    for number, value in enumerate(values):
        with suppress(ValueError):
            dotenv.quote(value)
            written[f"V{number}"] = value
    text = dotenv.merge("# mine\n", written)
    assert read_variables(text, Path("/nowhere/.env"), {}) == written
