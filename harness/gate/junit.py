"""The gate as JUnit XML: a test case for each judgement.

An inconclusive judgement is an ``error``, a failed one a ``failure``: the format's own distinction (the Ant
JUnit task's schema). A skipped test would look like a pass.
"""

from __future__ import annotations

import re
from collections import Counter
from xml.etree import ElementTree as ET

from harness.gate.model import Gate, Judgement

SUITE = "wavetank.gate"
ELEMENTS = {"fail": "failure", "inconclusive": "error"}
# What XML 1.0 cannot hold, not even escaped (section 2.2): a check's reason may quote a terminal.
INVALID_CHARACTERS = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(gate: Gate) -> str:
    """The document, to be written as UTF-8."""
    counts = Counter(each.verdict for each in gate.judgements)
    totals = {
        "name": SUITE,
        "tests": str(len(gate.judgements)),
        "failures": str(counts["fail"]),
        "errors": str(counts["inconclusive"]),
        "skipped": "0",
    }
    suites = ET.Element("testsuites", totals)
    suite = ET.SubElement(suites, "testsuite", totals)
    for judgement in gate.judgements:
        _case(suite, judgement)
    ET.indent(suites)
    text: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return text.decode() + "\n"


def _case(suite: ET.Element, judgement: Judgement) -> None:
    name = {"classname": f"{SUITE}.{judgement.kind}", "name": _clean(judgement.name), "time": "0"}
    case = ET.SubElement(suite, "testcase", name)
    text = _clean(judgement.told)
    if judgement.verdict == "pass":
        ET.SubElement(case, "system-out").text = text
        return
    element = ELEMENTS[judgement.verdict]
    ET.SubElement(case, element, {"type": judgement.verdict, "message": text}).text = text


def _clean(text: str) -> str:
    return INVALID_CHARACTERS.sub("\ufffd", text)
