"""Links and paths in README, SECURITY, CHANGELOG and docs/: each leads to a file or heading that is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.run.settings import PROJECT

PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])
# A changelog names files as they were then.
OF_TODAY = [page for page in PAGES if page.name != "CHANGELOG.md"]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
ROOMS = ("harness", "emulator", "tests", "topologies", "docs")
PATH = re.compile(rf"`((?:{'|'.join(ROOMS)})/[\w./*-]+)`")
MODULE = re.compile(rf"\b((?:{'|'.join(ROOMS[:3])})(?:\.[a-z_0-9]+)+)\b")


def prose(page: Path) -> str:
    """The page without samples, in which anything may look like a link."""
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """The headings of a page, as GitHub and GitLab name them in links."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    """Relative links of a page that lead nowhere."""
    for link in LINK.findall(prose(page)):
        name, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link):
            continue
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def exists(dotted: str) -> bool:
    """Whether a module, or a name in a module, stands where the dotted name says."""
    parts = dotted.split(".")
    places = [PROJECT.joinpath(*parts), PROJECT.joinpath(*parts[:-1])]
    return any(place.is_dir() or place.with_suffix(".py").is_file() for place in places)


def broken_paths(page: Path) -> Iterator[str]:
    """Files and modules of ours that a page names and that are not there."""
    text = page.read_text()
    yield from (path for path in PATH.findall(text) if not list(PROJECT.glob(path.rstrip("/"))))
    yield from (dotted for dotted in MODULE.findall(text) if not exists(dotted))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    """To a file of the repository and, with an anchor, to a heading in it."""
    assert list(broken_links(page)) == []


@pytest.mark.parametrize("page", OF_TODAY, ids=lambda page: page.name)
def test_every_path_of_code_exists(page: Path) -> None:
    """Whoever moves a file finds the pages that name it."""
    assert list(broken_paths(page)) == []


def test_wrong_links_and_paths_are_found(tmp_path: Path) -> None:
    """Else the tests above would be easy to please."""
    page = tmp_path / "page.md"
    page.write_text(
        "# One page\n[a](page.md#one-page) [b](#two) [c](gone.md) [d](https://nowhere.invalid)\n"
        "`harness/errors.py` `harness/core/errors.py` harness.core.errors harness.gone.module harness.waits\n"
    )
    assert list(broken_links(page)) == ["#two", "gone.md"]
    assert list(broken_paths(page)) == ["harness/errors.py", "harness.gone.module"]


def test_every_page_is_linked_from_the_readme() -> None:
    """A page that nobody finds helps nobody."""
    readme = (PROJECT / "README.md").read_text()
    missing = [
        page.name for page in PAGES if page.parent.name == "docs" and f"docs/{page.name}" not in readme
    ]
    assert missing == []


def test_the_glossary_is_in_alphabetical_order() -> None:
    """A word is looked up by its place."""
    text = (PROJECT / "docs/glossary.md").read_text()
    terms = [term.replace("`", "").lower() for term in re.findall(r"^\| (.+?) \| ", text, re.MULTILINE)]
    assert terms[1:] == sorted(set(terms[1:]))
