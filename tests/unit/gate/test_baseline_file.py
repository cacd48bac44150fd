"""``wavetank baseline``: what is kept, and what is shown of it."""

from __future__ import annotations

import json
from pathlib import Path

from gate_desk import Desk
from gate_samples import ENVIRONMENT, SLOWER, STANDARD, STEADY, found, report

from harness.gate.environment import topology_sha256
from harness.gate.reading import BASELINE


def test_a_baseline_holds_what_it_takes_to_compare(desk: Desk) -> None:
    """Values of all repetitions, where it was measured, what it was of."""
    kept = json.loads(desk.baseline.read_text())
    assert kept["schema"] == BASELINE
    assert kept["environment"] | {"topology_sha256": ""} == {
        **ENVIRONMENT,
        "target": "local",
        "topology": "standard",
        "topology_sha256": "",
        "wavetank": "",
        "python": "",
    }
    assert kept["environment"]["topology_sha256"] == topology_sha256(STANDARD)
    (experiment,) = kept["experiments"]
    assert experiment["samples"]["p95_ms"] == list(STEADY)
    assert experiment["rate"] == 4.0
    assert experiment["route"] == {"door": "client", "way": "wait"}
    assert experiment["workload"]["programs"] == found().workload["programs"]
    assert experiment["histograms"] == [f"hdr-{number}" for number in range(5)]
    assert kept["forced"] == ""


def test_it_is_valid_json_even_of_endless_values(desk: Desk) -> None:
    """JSON has no word for infinity."""
    assert desk.save(report(found((float("inf"),) * 5))).code == 0
    text = (desk.directory / "other.json").read_text()
    assert "Infinity" not in text
    assert json.loads(text)["experiments"][0]["samples"]["p95_ms"] == [None] * 5


def test_it_is_replaced_in_one_step(desk: Desk) -> None:
    """A refused result leaves the one before as it was, and nothing beside it."""
    assert desk.save(report(found())).code == 0
    before = (desk.directory / "other.json").read_text()
    assert desk.save(report(found(partial="cut"))).code == 4
    assert (desk.directory / "other.json").read_text() == before
    assert not list(desk.directory.glob(".*"))


def test_of_the_same_load_twice_the_latest_is_kept(desk: Desk) -> None:
    """And others beside it."""
    soak = found(experiment="soak")
    assert desk.save(report(found(), soak, found(SLOWER))).code == 0
    kept = json.loads((desk.directory / "other.json").read_text())["experiments"]
    assert [(each["experiment"], each["samples"]["p95_ms"][0]) for each in kept] == [
        ("soak", STEADY[0]),
        ("latency", SLOWER[0]),
    ]


def test_show_says_what_a_file_holds(desk: Desk) -> None:
    """With the noise of each metric."""
    done = desk.wavetank("baseline", "show", desk.baseline)
    assert done.code == 0
    assert "of run standard-7f3a (standard on local)" in done.out
    assert "kernel 6.1.0, 2 cores" in done.out
    assert "latency of 'hello' at 4/s through client (wait): pass" in done.out
    assert "  p95: 800 ms (790 ms to 810 ms), 5 repetitions" in done.out
    assert "  throughput: 3.9/s (3.88/s to 3.92/s), 5 repetitions" in done.out


def test_show_gives_the_file_as_json(desk: Desk) -> None:
    """All of it, by its own keys."""
    done = desk.wavetank("baseline", "show", desk.baseline, "-o", "json")
    assert done.document == json.loads(desk.baseline.read_text())


def test_a_limit_that_moves_leaves_the_topology_comparable(tmp_path: Path) -> None:
    """Nor do comments and order count; a rule does."""
    text = STANDARD.read_text()
    file = tmp_path / "other.yaml"
    file.write_text(text.replace("p95_ms: 3000", "p95_ms: 20") + "# the end\n")
    assert topology_sha256(file) == topology_sha256(STANDARD)
    file.write_text(text.replace('ports: "4000"', 'ports: "4001"'))
    assert topology_sha256(file) != topology_sha256(STANDARD)
