"""Which probe sources a scan is to have, by the checks that were chosen."""

from __future__ import annotations

import pytest

from harness.verify.fixtures import probe_sources_of

pytest_plugins = ["pytester"]
EVERY = ("front", "back", "internet")
CHECKS = f"""
import pytest

@pytest.fixture
def proof(): ...

@pytest.mark.parametrize("probe_source", {EVERY})
def test_every_port(probe_source, proof): ...

def test_whole(proof): ...

@pytest.mark.parametrize("probe_source", {EVERY})
def test_something_else(probe_source): ...
"""


@pytest.mark.parametrize(
    ("chosen", "sources"),
    [
        ("every_port and front", ("front",)),
        ("every_port and not back", ("front", "internet")),
        ("every_port and back or something_else", ("back",)),
        ("every_port", None),
        ("every_port and front or whole", None),
    ],
)
def test_only_what_the_chosen_checks_judge_is_scanned(
    pytester: pytest.Pytester, chosen: str, sources: tuple[str, ...] | None
) -> None:
    """One check of the whole scan needs all of it."""
    assert probe_sources_of(collected(pytester, chosen), EVERY, pytester.path) == sources


def test_checks_of_others_have_the_whole_scan(pytester: pytest.Pytester) -> None:
    """They may ask for it only when they run: an empty scan would show them nothing wrong."""
    assert probe_sources_of(collected(pytester, "something_else"), EVERY, pytester.path) is None
    assert probe_sources_of(collected(pytester, "every_port and front"), EVERY) is None


def collected(pytester: pytest.Pytester, chosen: str) -> list[pytest.Item]:
    """The checks that ``-k`` chooses."""
    _, record = pytester.inline_genitems(pytester.makepyfile(CHECKS), "-k", chosen)
    (call,) = record.getcalls("pytest_collection_finish")
    return list(call.session.items)
