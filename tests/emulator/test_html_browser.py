"""The report's page in a real browser: at a desk, on a phone, on paper."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import browser
import html_samples
import pytest
from browser import Measurement

from harness import html

pytestmark = pytest.mark.skipif(
    browser.find() is None, reason=f"no browser: none of {', '.join(browser.NAMES)}"
)

Seen = Mapping[Measurement, Any]

PHONE, DESK = 360, 1280
PAPER = 1031  # the inner width of A4 across, in pixels
WIDE = """
return {
  inner: innerWidth,
  scroll: document.documentElement.scrollWidth,
  beyond: [...document.querySelectorAll('main *')]
    .filter(each => !each.closest('.scroll') && each.getBoundingClientRect().right > innerWidth + 1)
    .map(each => each.outerHTML.slice(0, 80)),
}"""


@functools.cache
def page_of(name: str) -> str:
    """A sample's page, rendered once."""
    return html.render(html_samples.SAMPLES[name]())


def printed(name: str) -> str:
    """A sample's page with the rules for print in force."""
    return page_of(name).replace("@media print", "@media all")


def measurements() -> list[Measurement]:
    """All that is measured."""
    return [
        Measurement(page_of("hostile"), ELEMENTS, DESK),
        *(Measurement(page_of(name), WIDE, width) for name in CROWDED for width in (PHONE, DESK)),
        Measurement(page_of("failing"), TOPS, PHONE),
        Measurement(page_of("failing"), CONTENT, DESK),
        *(Measurement(page_of("failing"), TIPS, width) for width in (PHONE, DESK)),
        Measurement(page_of("failing"), SWITCH, DESK),
        Measurement(page_of("passing"), STICKY, PHONE),
        *(Measurement(page_of(name), TEXTS, DESK) for name in ("passing", "failing")),
        *(Measurement(page_of("loaded"), CHARTS, width) for width in (PHONE, DESK)),
        *(Measurement(printed(name), PRINTED, PAPER) for name in ("passing", "failing")),
    ]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What each measurement shows."""
    return browser.measure(tmp_path_factory.mktemp("measurements"), measurements())


@pytest.mark.parametrize("name", html_samples.SAMPLES)
def test_nothing_is_asked_for_and_nothing_complains(name: str, tmp_path: Path) -> None:
    """The page as it is, from its file: all of it is shown, and the browser has nothing to say."""
    file = tmp_path / "report.html"
    file.write_text(page_of(name))
    done = browser.run(tmp_path, file, "--dump-dom")
    assert "</main>" in done.stdout
    assert browser.console(done) == []


def test_the_page_forbids_what_it_does_not_need(tmp_path: Path) -> None:
    """Were there a script or a picture from elsewhere in it, the page's own policy would stop them."""
    file = tmp_path / "report.html"
    planted = (
        '<img src="http://127.0.0.1:9/x.png" alt=""><script>document.title = "taken over"</script></body>'
    )
    file.write_text(page_of("old").replace("</body>", planted))
    done = browser.run(tmp_path, file, "--dump-dom")
    assert len(browser.console(done)) >= 2
    assert "<title>taken over</title>" not in done.stdout


ELEMENTS = "return [document.scripts.length, document.images.length]"


def test_markup_in_a_report_does_nothing(seen: Seen) -> None:
    """Even without the policy there would be no element of it."""
    assert seen[Measurement(page_of("hostile"), ELEMENTS, DESK)] == [1, 0]


CROWDED = ("failing", "hostile", "broken")


@pytest.mark.parametrize("name", CROWDED)
@pytest.mark.parametrize("width", [PHONE, DESK])
def test_the_page_never_scrolls_sideways(name: str, width: int, seen: Seen) -> None:
    """What is wider than the screen scrolls within its own box."""
    assert seen[Measurement(page_of(name), WIDE, width)] == {"inner": width, "scroll": width, "beyond": []}


TOPS = """
const each = document.querySelectorAll('main > section');
return [...each].map(each => [each.id, each.getBoundingClientRect().top])"""


def test_differences_come_before_the_matrix(seen: Seen) -> None:
    """From top to bottom, as they are laid out."""
    tops: dict[str, float] = dict(seen[Measurement(page_of("failing"), TOPS, PHONE)])
    assert tops["head"] < tops["differences"] < tops["topology"] < tops["matrix"] < tops["mutation"]


CONTENT = "return document.body.textContent"


def test_every_check_is_shown(seen: Seen) -> None:
    """Name and reason of each stand in the document."""
    text = seen[Measurement(page_of("failing"), CONTENT, DESK)]
    for check in html_samples.failing()["checks"]:
        assert check["id"].partition(".")[2] in text
        assert check["reason"] in text


TIPS = """
const cells = [...document.querySelectorAll('.panel.tcp .cell')];
const box = document.querySelector('.panel.tcp .scroll');
const found = [cells[0], cells[Math.floor(cells.length / 2)], cells.at(-1)].map(cell => {
  const tip = document.getElementById(cell.getAttribute('aria-describedby'));
  cell.scrollIntoView({block: 'center', inline: 'center'});
  const before = getComputedStyle(tip).display;
  cell.focus();
  const at = tip.getBoundingClientRect(), own = cell.getBoundingClientRect();
  return {
    before, after: getComputedStyle(tip).display, text: tip.textContent,
    inside: at.left >= 0 && at.right <= innerWidth && at.top >= 0 && at.bottom <= innerHeight,
    clear: at.top >= own.bottom - 2 || at.bottom <= own.top + 2
      || at.left >= own.right || at.right <= own.left,
  };
});
return found"""


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_ranges_are_shown_on_focus(width: int, seen: Seen) -> None:
    """Hidden before; then within the window, all of it, and not over the cell that was asked."""
    for tip in seen[Measurement(page_of("failing"), TIPS, width)]:
        assert (tip["before"], tip["after"], tip["inside"], tip["clear"]) == ("none", "block", True, True)
        assert all(word in tip["text"] for word in ("open", "closed", "filtered", "must", "may", "computed"))


SWITCH = """
const shown = () => ['tcp', 'udp', 'icmp'].filter(name =>
  getComputedStyle(document.querySelector('.panel.' + name)).display !== 'none');
const first = shown();
document.querySelector('label[for=show-udp]').click();
return [first, shown()]"""


def test_protocols_are_switched_without_a_script(seen: Seen) -> None:
    """One matrix at a time, the one with violations first."""
    assert seen[Measurement(page_of("failing"), SWITCH, DESK)] == [["tcp"], ["udp"]]


STICKY = """
const box = document.querySelector('.panel.tcp .scroll');
box.style.maxHeight = '180px';
box.scrollTo(300, 120);
const at = box.getBoundingClientRect();
const side = box.querySelector('tbody tr:nth-child(8) th').getBoundingClientRect();
const head = box.querySelector('thead').getBoundingClientRect();
const moved = [box.scrollLeft > 100, box.scrollTop > 50];
return {moved, side: side.left - at.left, head: head.top - at.top}"""


def test_headers_of_the_matrix_stay_in_sight(seen: Seen) -> None:
    """Scrolled in its box, it still says which row and column a cell is in."""
    scrolled = seen[Measurement(page_of("passing"), STICKY, PHONE)]
    assert scrolled["moved"] == [True, True]
    assert (scrolled["side"], scrolled["head"]) == (pytest.approx(0, abs=1), pytest.approx(0, abs=1))


TEXTS = """
const all = path => [...document.querySelectorAll('svg.topology ' + path)];
const texts = all('text').map(each => [each, each.getBoundingClientRect()]);
const boxes = all('.box').map(each => each.getBoundingClientRect());
const meet = (a, b) => a.left < b.right && b.left < a.right && a.top + 2 < b.bottom && b.top + 2 < a.bottom;
const within = (a, b) => a.left >= b.left && a.right <= b.right && a.top >= b.top && a.bottom <= b.bottom;
const bad = [];
for (const [one, at] of texts) {
  for (const [other, there] of texts)
    if (one !== other && meet(at, there)) bad.push(one.textContent + ' over ' + other.textContent);
  const inBox = one.matches('.name, .node .note');
  if (inBox && !boxes.some(box => within(at, box))) bad.push('outside: ' + one.textContent);
  if (!inBox && boxes.some(box => meet(at, box))) bad.push('over a box: ' + one.textContent);
}
return [texts.length > 20, bad]"""


@pytest.mark.parametrize("name", ["passing", "failing"])
def test_texts_in_the_picture_can_be_read(name: str, seen: Seen) -> None:
    """As the browser's own fonts draw them, no text lies on another, and names fit into their boxes."""
    assert seen[Measurement(page_of(name), TEXTS, DESK)] == [True, []]


CHARTS = """
const meet = (a, b) => a.left < b.right && b.left < a.right && a.top + 3 < b.bottom && b.top + 3 < a.bottom;
const bad = [];
const charts = [...document.querySelectorAll('svg.chart')].filter(each => each.checkVisibility());
for (const chart of charts) {
  const texts = [...chart.querySelectorAll('text')].filter(each => !each.matches('.objective-words'))
    .map(each => [each.textContent, each.getBoundingClientRect()]);
  for (const [one, at] of texts)
    for (const [other, there] of texts)
      if (one !== other && meet(at, there)) bad.push(one + ' over ' + other);
}
return [charts.length, bad]"""


@pytest.mark.parametrize("width", [PHONE, DESK])
def test_texts_in_charts_can_be_read(width: int, seen: Seen) -> None:
    """Axes, keys and names keep clear of one another; what is shown unfolded is five runs and three more."""
    assert seen[Measurement(page_of("loaded"), CHARTS, width)] == [5 * 2 + 3, []]


PRINTED = """
const all = (path, within = document) => [...within.querySelectorAll(path)];
const tables = all('.matrix').map(table => {
  const at = table.getBoundingClientRect(), box = table.closest('.scroll');
  return {shown: at.width > 0, whole: at.right <= innerWidth + 1 && at.height <= 700,
    clipped: getComputedStyle(box).overflow !== 'visible',
    spilling: all('.cell', table).filter(each => each.scrollWidth > each.clientWidth + 1).length};
});
const folded = all('details > :not(summary)').filter(each => !each.checkVisibility());
return {tables, folded: folded.length}"""


@pytest.mark.parametrize("name", ["passing", "failing"])
def test_paper_shows_everything(name: str, seen: Seen) -> None:
    """With the rules for print in force: all three matrices, whole and unclipped, and nothing folded."""
    paper = seen[Measurement(printed(name), PRINTED, PAPER)]
    assert paper["tables"] == 3 * [{"shown": True, "whole": True, "clipped": False, "spilling": 0}]
    assert paper["folded"] == 0


def test_it_prints(tmp_path: Path) -> None:
    """On A4, upright and, for picture and matrix, across."""
    file, paper = tmp_path / "report.html", tmp_path / "report.pdf"
    file.write_text(page_of("failing"))
    browser.run(tmp_path, file, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    assert sizes(paper.read_bytes()) == {(595, 842), (842, 595)}


def sizes(pdf: bytes) -> set[tuple[Any, ...]]:
    """The sizes of its pages, in points."""
    boxes = re.findall(rb"/MediaBox\s*\[0 0 ([\d.]+) ([\d.]+)\]", pdf)
    return {tuple(round(float(each)) for each in box) for box in boxes}
