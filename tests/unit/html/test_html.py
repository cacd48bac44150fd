"""The page of a report: well-formed, complete, in order, escaped, and dependent on nothing else."""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import html_samples
import pytest
from click.testing import CliRunner
from report_schema import validator

from harness import html
from harness.cli.main import cli
from harness.html.cells import matrix

VOID = {"meta", "link", "input", "wbr"}
NAMES = list(html_samples.SAMPLES)


@functools.cache
def page_of(name: str) -> str:
    """A sample's page, rendered once."""
    return html.render(sample(name))


@functools.cache
def sample(name: str) -> dict[str, Any]:
    """A sample's document, made once: nobody changes it."""
    return html_samples.SAMPLES[name]()


class Reader(HTMLParser):
    """A page taken apart, every element closed where it should be."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"<{tag}> has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def values(self, attribute: str) -> list[str]:
        return [found[attribute] or "" for _, found in self.elements if attribute in found]


@functools.cache
def read_page(page: str) -> Reader:
    """A page taken apart, once: that takes longer than anything that is asked of it."""
    return Reader(page)


@pytest.fixture(params=NAMES)
def page(request: pytest.FixtureRequest) -> str:
    """Each sample's page."""
    return page_of(request.param)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("hostile", "broken")])
def test_samples_are_reports(name: str) -> None:
    """What the page is tried on is what a report may be."""
    validator().validate(sample(name))


def test_page_is_well_formed(page: str) -> None:
    """Elements are closed, ids are unique, and every reference leads somewhere."""
    read = read_page(page)
    ids = Counter(read.values("id"))
    assert [each for each, number in ids.items() if number > 1] == []
    anchors = [each[1:] for each in read.values("href") if each.startswith("#")]
    told = [word for name in ("aria-labelledby", "aria-describedby", "for") for word in read.values(name)]
    assert [each for each in [*anchors, *" ".join(told).split()] if each not in ids] == []


def test_page_is_accessible(page: str) -> None:
    """A language, a title, headings without gaps, and a scope for every table header."""
    read = read_page(page)
    assert ("html", {"lang": "en"}) in read.elements
    assert re.search(r"<title>[^<]+</title>", page)
    levels = [int(tag[1]) for tag, _ in read.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all("scope" in attributes for tag, attributes in read.elements if tag == "th")


def test_page_asks_nobody(page: str) -> None:
    """No script, no style sheet, no picture, no address from elsewhere; and a policy that forbids them."""
    read = read_page(page)
    assert {tag for tag, _ in read.elements} & {"script", "iframe", "img", "object", "base", "form"} == set()
    assert all(each.startswith(("#", "data:")) for each in read.values("href") + read.values("src"))
    assert "default-src 'none'" in page
    assert not any(name.startswith("on") for _, attributes in read.elements for name in attributes)
    style = page[page.index("<style>") : page.index("</style>")]
    assert "@import" not in style
    assert "url(" not in style


def test_markup_in_a_report_is_text() -> None:
    """Whatever a name or a reason holds is shown as it is, and does nothing."""
    read = read_page(page_of("hostile"))
    assert html_samples.HOSTILE in read.text
    assert "standard" + html_samples.HOSTILE in read.text


@pytest.mark.parametrize("name", NAMES)
def test_every_text_of_the_checks_is_there(name: str) -> None:
    """Each check with its reason, word for word."""
    text = read_page(page_of(name)).text
    for check in sample(name)["checks"]:
        assert check["id"].partition(".")[2] in text
        assert check["reason"] in text
        assert check["evidence"] in text


def test_differences_come_first() -> None:
    """Sections stand in the order in which they are needed."""
    page = page_of("failing")
    order = ["head", "differences", "topology", "machines", "matrix", "mutation", "timings", "checks"]
    places = [page.index(f'<section id="{name}"') for name in order]
    assert places == sorted(places)


def test_what_the_droplets_are_instead_is_reported() -> None:
    """Each image with its droplets, and each difference with both sides."""
    page = page_of("passing")
    text = read_page(page[page.index('<section id="machines"') : page.index('<section id="matrix"')]).text
    assert "ubuntu-24-04-x64" in text
    for told in html_samples.passing()["machines"][0]["differences"]:
        assert told["image"] in text
        assert told["droplet"] in text


def test_a_violation_is_reported_whole() -> None:
    """Ends, ports, the three views, firewall, rule, reason and how to reproduce it."""
    report = html_samples.failing()
    page = page_of("failing")
    text = read_page(
        page[page.index('<section id="differences"') : page.index('<section id="topology"')]
    ).text
    for each in report["isolation"]["violations"]:
        for part in ("source", "target", "firewall", "rule", "reason", "reproduce", "intended", "observed"):
            assert each[part] in text


def test_many_violations_are_folded_not_dropped() -> None:
    """The page stays short, and holds all."""
    report = html_samples.failing()
    one = report["isolation"]["violations"][0]
    report["isolation"]["violations"] = [{**one, "reason": f"number {number};"} for number in range(130)]
    text = read_page(html.render(report)).text
    assert all(f"number {number};" in text for number in range(130))
    assert "110 more" in text


def test_old_reports_are_shown_without_the_newer_parts() -> None:
    """A report of before isolation was scanned has a page, without empty sections."""
    read = read_page(page_of("old"))
    ids = set(read.values("id"))
    assert {"head", "differences", "topology", "timings", "checks"} <= ids
    assert not ids & {"matrix", "mutation"}
    assert "Isolation was not scanned" in read.text
    read_page(html.render({}))


def test_a_run_that_broke_says_why() -> None:
    """The error is in the head."""
    text = read_page(page_of("broken")).text
    assert "not active after 60 s" in text
    assert "nothing was checked" in text.lower()


def test_notes_are_in_the_head() -> None:
    """What is to be known of the whole run comes before all else, as text."""
    noted = html_samples.passing() | {"notes": ["this kernel has no <ESP>"]}
    page = html.render(noted)
    assert "this kernel has no &lt;ESP&gt;" in page[: page.index("</header>")]


def test_the_head_says_when() -> None:
    """From and to; the day once."""
    assert "2026-11-24 21:04:11 UTC to 21:05:47 UTC" in page_of("passing")
    assert "not recorded" in page_of("old")


def cells(report: dict[str, Any], protocol: str = "tcp") -> dict[tuple[str, str, str], Any]:
    """Every cell of a matrix by its ends."""
    made = matrix(report, protocol)
    assert made is not None
    return {(row, cell.target.name, cell.target.side): cell for row, line in made.rows for cell in line}


def test_matrix_says_what_passes() -> None:
    """166 pairs have a cell, with the ports that pass in it."""
    found = cells(html_samples.passing())
    assert Counter(cell.state for cell in found.values()) == {"nothing": 147, "passes": 19, "itself": 14}
    assert found["internet", "client", "public"].ports == "80, 443"
    assert found["runner", "mongo", "private"].heat == 1


def test_matrix_says_what_is_wrong() -> None:
    """Leaks, blocked flows, doubts and gaps are four different things, each with a sign of its own."""
    failing, doubtful = cells(html_samples.failing()), cells(html_samples.inconclusive())
    assert (
        failing["internet", "worker-1", "private"].state,
        failing["internet", "worker-1", "private"].ports,
    ) == (
        "violation",
        "all",
    )
    assert failing["judge0-lb", "server-2", "private"].state == "violation"
    assert doubtful["runner", "mongo", "private"].state == "inconclusive"
    assert doubtful["worker-2", "runner", "private"].state == "unobserved"
    shown = [failing["internet", "worker-1", "private"], doubtful["runner", "mongo", "private"]]
    assert [cell.symbol for cell in shown] == ["✗", "?"]


def test_matrix_judges_by_itself() -> None:
    """A port that passes without leave is a violation even where the list of violations forgot it."""
    report = html_samples.failing()
    report["isolation"]["violations"] = []
    assert cells(report)["client", "postgres", "private"].state == "violation"


def test_a_report_without_icmp_has_no_matrix_of_it() -> None:
    """Only protocols that were asked are there."""
    report = html_samples.passing()
    rows = report["isolation"]["matrix"]
    report["isolation"]["matrix"] = [row for row in rows if row["protocol"] != "icmp"]
    read = read_page(html.render(report))
    assert "show-udp" in read.values("id")
    assert "show-icmp" not in read.values("id")


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    wide = colour if len(colour) == 7 else "#" + "".join(2 * each for each in colour[1:])
    parts = [int(wide[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """From 1 to 21."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("theme", [0, 1, 2], ids=["light", "dark", "print"])
def test_colours_can_be_distinguished(theme: int) -> None:
    """Text on each of its grounds has a contrast of 4.5 to 1 or more."""
    style = html.render({})
    themes = re.findall(r":root\{([^}]*)\}", style)
    colours = [dict(re.findall(r"--([\w-]+):(#\w+)", each)) for each in themes]
    now = {**colours[0], **colours[theme]}
    pairs = [("ink", ground) for ground in ("ground", "panel", "droplet", "database", "outside")]
    pairs += [("quiet", ground) for ground in ("ground", "panel", "droplet", "database", "outside")]
    pairs += [(name, f"{name}-ground") for name in ("good", "bad", "doubt")]
    pairs += [(name, "ground") for name in ("good", "bad", "doubt", "link")]
    pairs += [(name, "ground") for name in ("blue", "orange", "green", "purple")]
    pairs += [("ink", f"{name}-ground") for name in ("good", "bad", "doubt")]
    pairs += [("quiet", f"{name}-ground") for name in ("good", "bad", "doubt")]
    pairs += [("bad-on", "bad-strong"), *(("heat-ink", f"heat-{level}") for level in (1, 2, 3))]
    pale = {pair: round(contrast(now[pair[0]], now[pair[1]]), 2) for pair in pairs}
    assert {pair: value for pair, value in pale.items() if value < 4.5} == {}


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    """Beside report.json, or where it is told to; and prints where that is."""
    run = tmp_path / "runs" / "standard-7f3a"
    run.mkdir(parents=True)
    (run / "report.json").write_text(json.dumps(html_samples.passing()))
    words = ["report", "--state-dir", str(tmp_path), "--run", "standard-7f3a"]
    first = CliRunner().invoke(cli, words, standalone_mode=False)
    assert (first.exception, first.output) == (None, f"{run / 'report.html'}\n")
    assert read_page((run / "report.html").read_text()).text
    other = tmp_path / "other.html"
    second = CliRunner().invoke(cli, [*words, "--html", str(other), "-o", "json"], standalone_mode=False)
    assert json.loads(second.output) == {"html": str(other)}
    assert other.read_text() == (run / "report.html").read_text()
    assert sorted(each.name for each in run.iterdir()) == ["report.html", "report.json"]


def test_the_command_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    """No report, or no place for the page: a clear error."""
    words = ["report", "--state-dir", str(tmp_path), "--run", "standard-7f3a"]
    assert "no report" in str(CliRunner().invoke(cli, words).exception)
    run = tmp_path / "runs" / "standard-7f3a"
    run.mkdir(parents=True)
    (run / "report.json").write_text(json.dumps(html_samples.passing()))
    nowhere = CliRunner().invoke(cli, [*words, "--html", str(tmp_path / "none" / "x.html")])
    assert "cannot be written" in str(nowhere.exception)
