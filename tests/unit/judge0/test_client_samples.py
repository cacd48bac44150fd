"""The programs that the client's page shows first must run when nobody has typed any input."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "topologies/app/client/site/editor.js"


def sample(language: str) -> str:
    """The program for ``language``, as the page's JavaScript writes it."""
    found = re.search(rf"^  {language}: '(.*)',$", PAGE.read_text(), re.MULTILINE)
    assert found, f"{PAGE} has no program for {language}"
    return found[1].encode().decode("unicode_escape")


@pytest.mark.parametrize(("language", "command"), [("python", [sys.executable]), ("bash", ["bash"])])
@pytest.mark.parametrize(("typed", "name"), [("", "world"), ("Ada\n", "Ada")])
def test_a_first_run_greets(language: str, command: list[str], typed: str, name: str, tmp_path: Path) -> None:
    """With input and without."""
    program = tmp_path / "program"
    program.write_text(sample(language))
    done = subprocess.run([*command, str(program)], input=typed, capture_output=True, text=True, check=True)
    assert done.stdout == f"Hello, {name}!\n"
