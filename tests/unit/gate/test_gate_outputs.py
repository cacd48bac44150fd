"""The gate as Markdown and JUnit: what they say, and that nobody's text gets out of its place."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from gate_desk import Desk
from gate_samples import PASSED, SAME, SLOWER, found, interval, report

from harness.gate.junit import junit
from harness.gate.markdown import LONGEST, escape, markdown
from harness.gate.model import Gate, Judgement
from harness.gate.words import amount, change

HOSTILE = "</td><script>alert(1)</script> | **x** `y` [z](u) @somebody #1 \x1b[31m\x00\n- next & <"

GATE = Gate(
    "standard-7f3a",
    "local",
    "standard",
    (
        Judgement("checks", "checks", "pass", "41 passed"),
        Judgement(
            "objective", "p95_ms", "pass", "p95: 800 ms; at most 2000 ms", limit=2000, now=interval(790, 810)
        ),
        Judgement(
            "baseline",
            "p95_ms",
            "fail",
            "p95: worse: +26.0%",
            baseline=interval(790, 810),
            now=interval(990, 1030),
            change=interval(0.22, 0.3),
        ),
        Judgement(
            "baseline",
            "error_share",
            "inconclusive",
            "errors: undecided",
            baseline=interval(0, 0),
            now=interval(0, 0.02),
            change=interval(0, 0.02),
            relative=False,
        ),
    ),
    "ci/baseline.json",
    ("checks were skipped",),
)

GOLDEN = """\
### Gate: fail

standard-7f3a on local: fail \\(1 fail, 1 inconclusive, 2 pass\\)

| | Compared with | Now | Change | Verdict |
| --- | --- | --- | --- | --- |
| checks |  |  |  | pass |
| p95 | ≤ 2000 ms | 800 ms (790 ms to 810 ms) |  | pass |
| p95 | 800 ms (790 ms to 810 ms) | 1010 ms (990 ms to 1030 ms) | +26.0% (+22.0% to +30.0%) | **fail** |
| errors | 0% (0% to 0%) | 1% (0% to 2%) | +1% (+0% to +2%) | **inconclusive** |

- **fail**, baseline: p95: worse: +26.0%
- **inconclusive**, baseline: errors: undecided

- note: checks were skipped
"""


def test_markdown_is_a_table_and_the_reasons() -> None:
    """Short, with every figure in its unit and its interval."""
    assert markdown(GATE) == GOLDEN


def test_markdown_of_a_pass_has_no_list() -> None:
    """Nothing to explain."""
    passed = Gate("a", "local", "standard", GATE.judgements[:2])
    assert "\n- " not in markdown(passed)
    assert markdown(passed).startswith("### Gate: pass\n")


def test_a_hostile_text_stays_one_line_of_text() -> None:
    """No element, no cell, no link, no mention, no control character."""
    shown = escape(HOSTILE)
    assert "\n" not in shown
    assert shown.isprintable()
    assert "@" not in shown
    assert "<" not in shown.replace("&lt;", "")
    assert not re.search(r"(?<!\\)[|*`\[\]]", shown)
    assert len(escape("x" * 5000)) == LONGEST + 1


def test_many_reasons_are_counted_not_listed() -> None:
    """A pull request is no log."""
    many = tuple(Judgement("objective", f"m{number}", "fail", "over") for number in range(30))
    made = markdown(Gate("a", "local", "standard", many))
    assert made.count("- **fail**") == 10
    assert "- and 20 more" in made


def test_hostile_reasons_of_a_report_break_neither_table_nor_xml(desk: Desk) -> None:
    """From the report to both files."""
    bad = {**PASSED, "id": "frontdoor.accepts", "outcome": "failed", "reason": HOSTILE}
    table, xml = desk.directory / "gate.md", desk.directory / "gate.xml"
    done = desk.gate(report(found(SAME), checks=[bad]), f"--markdown={table}", f"--junit={xml}")
    assert done.code == 1
    rows = [line for line in table.read_text().splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}
    assert "<script>" not in table.read_text()
    failure = ET.parse(xml).find(".//failure")
    assert failure is not None
    assert "<script>alert(1)</script>" in str(failure.text)


def test_junit_has_a_case_for_each_judgement() -> None:
    """Failed and inconclusive apart, counted, parsed back as it was written."""
    suites = ET.fromstring(junit(GATE))
    suite = suites[0]
    assert suites.tag == "testsuites"
    for element in (suites, suite):
        counts = {key: element.attrib[key] for key in ("tests", "failures", "errors", "skipped")}
        assert counts == {"tests": "4", "failures": "1", "errors": "1", "skipped": "0"}
    cases = [(each.attrib["classname"], each.attrib["name"], each[0].tag) for each in suite]
    assert cases == [
        ("wavetank.gate.checks", "checks", "system-out"),
        ("wavetank.gate.objective", "p95_ms", "system-out"),
        ("wavetank.gate.baseline", "p95_ms", "failure"),
        ("wavetank.gate.baseline", "error_share", "error"),
    ]
    assert suite[2][0].attrib == {"type": "fail", "message": "p95: worse: +26.0%"}
    assert suite[3][0].text == "errors: undecided"


@pytest.mark.parametrize("text", ["\x00\x1b[0m", "\ud800", "\ufffe", "a & b < c > d \" e ' f", "tank 🌊"])
def test_any_text_makes_xml_that_can_be_read(text: str) -> None:
    """What XML has no place for is shown as such, the rest comes back."""
    made = junit(Gate("a", "local", "t", (Judgement("checks", "checks", "fail", f"said {text}"),)))
    told = ET.fromstring(made.encode())[0][0][0].text
    assert told is not None
    assert told.startswith("said ")
    assert told == f"said {text}" or "\ufffd" in told


def test_markdown_is_added_and_junit_replaced(desk: Desk) -> None:
    """A step's summary may hold what others said before."""
    table, xml = desk.directory / "gate.md", desk.directory / "gate.xml"
    table.write_text("before\n")
    for p95 in (SLOWER, SAME):
        desk.gate(report(found(p95)), f"--markdown={table}", f"--junit={xml}")
    text = table.read_text()
    assert text.startswith("before\n### Gate: fail\n")
    assert text.count("### Gate: ") == 2
    assert ET.parse(xml).getroot().attrib["failures"] == "0"


@pytest.mark.parametrize(
    ("metric", "value", "words"),
    [
        ("p95_ms", 812.4, "812 ms"),
        ("p95_ms", 1.234, "1.23 ms"),
        ("p95_ms", float("inf"), "endless"),
        ("throughput", 9.876, "9.876/s"),
        ("error_share", 0.004, "0.400%"),
        ("errors", 0.01, "1%"),
    ],
)
def test_amounts_have_units(metric: str, value: float, words: str) -> None:
    """As short as they may be."""
    assert amount(metric, value) == words


def test_a_change_from_nothing_is_absolute() -> None:
    """There is no share of zero."""
    told: Any = change("error_share", interval(0.01, 0.03), relative=False)
    assert told == "+2% (+1% to +3%)"
