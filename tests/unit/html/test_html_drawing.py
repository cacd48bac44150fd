"""The topology's picture: everything in it is there, and nothing lies on anything else."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import html_samples
import pytest

from harness.html.drawing.layers import Layered, layered
from harness.html.drawing.place import Placed, Rect, placed
from harness.html.drawing.plan import MOST_VIOLATED, Plan, plan
from harness.html.drawing.svg import draw


def members() -> dict[str, Any]:
    """A report of a swarm: circles, groups that talk among themselves, flows to the left, ICMP."""
    names = ["web", "manager-1", "manager-2", "manager-3", "node-1", "node-2"]
    managers, nodes = names[1:4], names[4:]
    pairs = [(a, b) for a in [*managers, *nodes] for b in [*managers, *nodes] if a != b]
    flows = [(a, b, "tcp", "2377,7946") for a, b in pairs] + [(a, b, "udp", "4789,7946") for a, b in pairs]
    flows += [(each, "web", "icmp", "") for each in nodes] + [("internet", "web", "tcp", "443")]
    flows += [("web", "manager-1", "tcp", "8000-9000"), ("manager-1", "198.51.100.0/24", "tcp", "443")]
    return {
        "droplets": [{"name": name, "addresses": {"private": "10.0.0.9", "public": None}} for name in names],
        "intent": [
            {"source": a, "destination": b, "protocol": protocol, "ports": ports}
            for a, b, protocol, ports in flows
        ],
    }


def chaos() -> dict[str, Any]:
    """Everybody reaches everybody."""
    report = html_samples.failing()
    one = report["isolation"]["violations"][0]
    names = [each["name"] for part in ("droplets", "databases") for each in report[part]]
    report["isolation"]["violations"] = [
        {**one, "source": source, "target": target}
        for source in ["internet", "stranger", *names[:7]]
        for target in names
        if source != target
    ]
    return report


REPORTS = {**html_samples.SAMPLES, "members": members, "chaos": chaos}
DRAWN = [name for name in REPORTS if name != "broken"]


@functools.cache
def report_of(name: str) -> dict[str, Any]:
    """Each report, made once."""
    return REPORTS[name]()


@pytest.fixture(params=DRAWN)
def report(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each report that has something to draw."""
    return report_of(request.param)


@pytest.fixture
def drawn(report: dict[str, Any]) -> tuple[Plan, Layered, Placed]:
    """What is drawn, in which columns, where."""
    shown = plan(report)
    graph = layered(shown)
    return shown, graph, placed(shown, graph)


def test_no_two_boxes_meet(drawn: tuple[Plan, Layered, Placed]) -> None:
    """Every box is there, inside of the picture, and clear of the others."""
    shown, _, places = drawn
    assert set(places.boxes) == {box.key for box in shown.boxes}
    whole = Rect(0, 0, places.width, places.height)
    assert all(rect.x >= 0 and rect.right <= whole.right for rect in places.boxes.values())
    assert all(rect.y >= 0 and rect.bottom <= whole.bottom for rect in places.boxes.values())
    assert [pair for pair in itertools.combinations(places.boxes.values(), 2) if pair[0].meets(pair[1])] == []


def test_no_label_lies_on_anything(drawn: tuple[Plan, Layered, Placed]) -> None:
    """Labels are clear of boxes, of one another, and of every line."""
    _, graph, places = drawn
    labels = places.labels
    assert [pair for pair in itertools.combinations(labels, 2) if pair[0].meets(pair[1])] == []
    assert [label for label in labels for rect in places.boxes.values() if label.meets(rect)] == []
    for line in places.lines.values():
        _, (_, y1), (x2, y2), (x3, _) = line.points
        level = Rect(x2, y2 - 0.5, x3 - x2, 1)
        curve = Rect(line.points[1][0], min(y1, y2), x2 - line.points[1][0], abs(y2 - y1) + 1)
        assert [label for label in labels if label.meets(level) or label.meets(curve)] == []
    assert len(labels) == len(graph.arrows)


def test_no_line_runs_through_a_box(drawn: tuple[Plan, Layered, Placed]) -> None:
    """Lines keep to the room between columns, and to their bends within one."""
    _, graph, places = drawn
    for route in graph.routes:
        own = {route[0].start, route[-1].end}
        others = [rect for key, rect in places.boxes.items() if key not in own]
        for one, after in itertools.pairwise(route):
            start, end = places.lines[one].points[3], places.lines[after].points[0]
            assert start[1] == pytest.approx(end[1])
            crossing = Rect(start[0], start[1] - 1, end[0] - start[0], 2)
            assert [rect for rect in others if rect.meets(crossing)] == []


def test_arrows_run_from_box_to_box(drawn: tuple[Plan, Layered, Placed]) -> None:
    """Each begins at the right edge of one of its ends and ends at the left edge of the other."""
    _, graph, places = drawn
    for index, (arrow, route) in enumerate(zip(graph.arrows, graph.routes, strict=True)):
        ends = (arrow.target, arrow.source) if index in graph.backward else (arrow.source, arrow.target)
        start, end = (places.boxes[end] for end in ends)
        first, last = places.lines[route[0]].points[0], places.lines[route[-1]].points[3]
        assert first[0] == pytest.approx(start.right)
        assert last[0] == pytest.approx(end.x)
        assert start.y <= first[1] <= start.bottom
        assert end.y <= last[1] <= end.bottom


def test_only_the_inside_is_framed(drawn: tuple[Plan, Layered, Placed]) -> None:
    """The VPC's frame holds droplets and databases, and nothing of the outside."""
    shown, _, places = drawn
    frame = places.frame
    assert frame is not None
    for box in shown.boxes:
        assert places.boxes[box.key].meets(frame) == (box.kind != "outside")


def test_every_flow_is_reported(report: dict[str, Any]) -> None:
    """Each flow of the intent is an arrow, or talk within a group; violated ones take its place."""
    shown = plan(report)
    told = "\n".join([*(arrow.description for arrow in shown.arrows), *(box.among for box in shown.boxes)])
    within = {name for box in shown.boxes if len(box.members) > 1 for name, _ in box.members}
    for flow in report.get("intent", []):
        arrow = f"{flow['source']} → {flow['destination']}: "
        assert arrow in told or {flow["source"], flow["destination"]} <= within


def test_the_same_report_gives_the_same_picture(report: dict[str, Any]) -> None:
    """Deterministic to the last digit."""
    assert draw(report) == draw(report)


def test_nodes_alike_share_a_frame() -> None:
    """Servers have the same flows, and so have workers; nobody else."""
    groups = [[name for name, _ in box.members] for box in plan(html_samples.passing()).boxes]
    assert [each for each in groups if len(each) > 1] == [["server-1", "server-2"], ["worker-1", "worker-2"]]


def test_violated_flows_are_set_apart() -> None:
    """A leak says that it passes, a blocked flow that it is blocked, and their group falls apart."""
    shown = plan(html_samples.failing())
    told = {line for arrow in shown.arrows if arrow.violated for line in arrow.description.splitlines()}
    assert "client → postgres: 25060 passes" in told
    assert "judge0-lb → server-2: 2358 blocked" in told
    meant = {line for arrow in shown.arrows if not arrow.violated for line in arrow.description.splitlines()}
    assert "judge0-lb → server-2: 2358" not in meant
    assert 'class="flow violated"' in str(draw(html_samples.failing()))


def test_too_many_violations_are_counted_instead() -> None:
    """The picture stays one that can be read, and says what it leaves out."""
    report = chaos()
    shown = plan(report)
    drawn = {line for arrow in shown.arrows if arrow.violated for line in arrow.description.splitlines()}
    assert len(drawn) == MOST_VIOLATED
    assert shown.unshown == len(report["isolation"]["violations"]) - MOST_VIOLATED


def test_nothing_to_draw() -> None:
    """A run in which nothing came to be has no picture."""
    assert draw(html_samples.broken()) is None
