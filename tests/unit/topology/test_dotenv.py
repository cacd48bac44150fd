"""``.env`` files: every value comes back the same from both generations of compose."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess
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


def read_v1(text: str) -> dict[str, str | None]:
    """As docker-compose 1.29 does: python-dotenv, with interpolation."""
    return dict(python_dotenv.dotenv_values(stream=io.StringIO(text), interpolate=True))


def read_v2(written: str) -> str:
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
def test_a_value_is_read_back_by_both_or_refused(value: str) -> None:
    """Whatever a password holds, it arrives as it is, or the user is told."""
    try:
        written = dotenv.quote(value)
    except ValueError:
        assume(False)
    assert read_v1(f"BEFORE=x\nKEY={written}\nAFTER=y\n") == {"BEFORE": "x", "KEY": value, "AFTER": "y"}
    assert read_v2(written) == value


@pytest.mark.parametrize(
    "value", ["p4$$w0rd", "a b", "#hash", "it's", 'say "hi"', "back\\slash", "a\nb", "ü", ""]
)
def test_everyday_passwords_are_not_refused(value: str) -> None:
    """Dollars, blanks, hashes, quotes and backslashes each have a form."""
    assert read_v2(dotenv.quote(value)) == value


@pytest.mark.parametrize("value", ["${HOME}", "it's $5", "a\\\\b'", "end\\", "a\rb", "a\0b"])
def test_what_the_two_read_differently_is_refused(value: str) -> None:
    """Better an error than a password that is right on one node only."""
    with pytest.raises(ValueError, match=r"read alike|cannot carry"):
        dotenv.quote(value)


@pytest.mark.skipif(not shutil.which("docker-compose"), reason="docker-compose 1.29 is not installed")
def test_the_real_docker_compose_agrees(tmp_path: Path) -> None:
    """Both as ``env_file`` and as the file that compose fills variables from."""
    values = {
        "A": "p4$$w0rd $x",
        "B": "it's",
        "C": "a # b",
        "D": 'say "hi" \\o/',
        "E": "",
        "F": "x=y?a=b&c#d",
    }
    (tmp_path / ".env").write_text(dotenv.merge("", values))
    compose = {"version": "3.7", "services": {"web": {"image": "x", "env_file": ".env", "labels": {}}}}
    compose["services"]["web"]["labels"] = {key: f"${{{key}}}" for key in values}
    (tmp_path / "docker-compose.yml").write_text(json.dumps(compose))
    command = ["docker-compose", "-f", "docker-compose.yml", "config"]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    from ruamel.yaml import YAML

    web = YAML(typ="safe").load(shown)["services"]["web"]
    unescaped = {key: value.replace("$$", "$") for key, value in web["environment"].items()}
    assert unescaped == values
    assert {key: value.replace("$$", "$") for key, value in web["labels"].items()} == values


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
    assert read_v1(after) == {**existing, **given_values}


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
