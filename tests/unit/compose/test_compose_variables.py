"""Variables, as Compose replaces them."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.compose.reader import replace_variables
from harness.core.errors import TopologyError

ENVIRONMENT = {"SET": "s", "EMPTY": ""}
FILE = Path("/nowhere/docker-compose.yml")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("$SET ${SET} $NONE.", "s s ."),
        ("$$SET $${SET}", "$SET ${SET}"),
        ("${EMPTY:-d} ${EMPTY-d} ${NONE:-d} ${NONE-d} ${SET:-d}", "d  d d s"),
        ("${EMPTY:+r} ${EMPTY+r} ${NONE:+r} ${NONE+r} ${SET:+r}", " r   r"),
        ("${NONE:-${SET}x} ${NONE:-${EMPTY:-y}}", "sx y"),
        ("${SET?why} ${EMPTY?why}", "s "),
        ("$1 $- a$", "$1 $- a$"),
    ],
)
def test_variables_are_replaced(text: str, wanted: str) -> None:
    """Defaults, replacements, defaults within defaults, and what is no variable."""
    assert replace_variables(text, FILE, ENVIRONMENT) == wanted


@pytest.mark.parametrize("text", ["${NONE?say why}", "${EMPTY:?say why}"])
def test_a_variable_that_must_be_set_is_an_error(text: str) -> None:
    """With what the file says about it."""
    with pytest.raises(TopologyError, match="say why"):
        replace_variables(text, FILE, ENVIRONMENT)
