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
    _, record = pytester.inline_genitems(pytester.makepyfile(CHECKS), "-k", chosen)
    (collected,) = record.getcalls("pytest_collection_finish")
    assert probe_sources_of(collected.session.items, EVERY) == sources
