"""The page's part about load: told whole, drawn to scale, and drawn whatever an experiment found."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import re
from collections.abc import Mapping
from typing import Any, get_args
from xml.etree import ElementTree as ET

import jsonschema
import load_samples
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report_schema import validator

from harness import html
from harness.core.formatting import figure, interval
from harness.html.drawing import beyond, overtime, quantiles, scale, scalingcurve, search, seconds
from harness.html.drawing.chart import spread
from harness.load import result
from harness.load.result import ExperimentResult, Interval, Run, Second, Stage
from harness.run.report import SCHEMA_FILE

NAMES = list(load_samples.SAMPLES)
SCHEMA = json.loads(SCHEMA_FILE.read_text())
SVG = {"svg", "rect", "line", "circle", "path", "text"}


def document(found: ExperimentResult) -> dict[str, Any]:
    """As it is read from ``report.json``."""
    read: dict[str, Any] = json.loads(json.dumps(found.document()))
    return read


@functools.cache
def sample(name: str) -> dict[str, Any]:
    """A sample's document, made once."""
    return document(load_samples.SAMPLES[name]())


def section(*entries: Mapping[str, Any]) -> ET.Element:
    """The page's section about these experiments, taken apart as strictly as XML is."""
    page = html.render({"load": list(entries)})
    start = page.index('<section id="load"')
    return ET.fromstring(page[start : page.index("</section>", start) + len("</section>")])


def text(element: ET.Element) -> str:
    """All text within."""
    return "".join(element.itertext())


def kinds(element: ET.Element, kind: str) -> list[ET.Element]:
    """The elements of a class."""
    return [each for each in element.iter() if kind in each.get("class", "").split()]


def drawn(markup: object) -> ET.Element:
    """A picture taken apart."""
    return ET.fromstring(str(markup))


def resolved(name: str) -> Mapping[str, Any]:
    """A part of the schema."""
    part: Mapping[str, Any] = SCHEMA["$defs"][name]
    return part


@pytest.mark.parametrize(
    ("made", "name"),
    [
        (result.ExperimentResult, "load"), (result.Run, "load_run"), (result.Stage, "stage"),
        (result.Second, "second"),
        (result.NodeSeries, "node_series"), (result.QueueSeries, "queue_series"), (result.Fit, "fit"),
        (result.Interval, "estimate"), (result.Scaling, "scaling"), (result.Capacity, "capacity"),
        (result.Overload, "overload"),
    ],
)  # fmt: skip
def test_the_schema_says_what_is_found(made: Any, name: str) -> None:
    """Each field of the data has its place in the schema; required are those without a default."""
    fields = dataclasses.fields(made)
    assert set(resolved(name)["properties"]) == {each.name for each in fields}
    bare = (dataclasses.MISSING, dataclasses.MISSING)
    needed = {each.name for each in fields if (each.default, each.default_factory) == bare}
    assert needed - {"steps"} == set(resolved(name)["required"]) - {"steps"}


def test_the_schema_knows_all_words() -> None:
    """Experiments, verdicts and models are those of the data."""
    told = resolved("load")["properties"]
    assert told["experiment"]["enum"] == list(get_args(result.Experiment))
    assert told["verdict"]["enum"] == list(get_args(result.Verdict))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_found_keeps_its_promise(name: str) -> None:
    """A sample of each experiment is valid; one with a wrong verdict is not."""
    whole = validator("load")
    whole.validate(sample(name))
    with pytest.raises(jsonschema.ValidationError):
        whole.validate({**sample(name), "verdict": "good"})


@pytest.mark.parametrize("name", NAMES)
def test_all_of_an_experiment_is_reported(name: str) -> None:
    """The answer first, doubts, submission mode and why, environment, and every run with its remarks."""
    entry = sample(name)
    told = text(section(entry))
    expected = [entry["told"], entry["verdict"], entry["route"]["why"], entry["partial"], *entry["doubts"]]
    expected += ["6.18.5", "hello (python) 60 %", "95 % within 400 ms", "wait bypasses queueyes"]
    for run in entry["runs"]:
        expected += [run["label"], run["partial"], run["bottleneck"]["why"], *run["doubts"]]
        expected += [said for texts in run["said"].values() for said in texts]
    assert [each for each in expected if each not in told] == []
    assert told.index(entry["told"]) < told.index("submission mode")


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_is_also_words_and_numbers(name: str) -> None:
    """Each has a title, a description, and a table with a caption; ids are unique."""
    read = section(sample(name))
    pictures = kinds(read, "measurement")
    assert len(pictures) >= 2 * len(sample(name)["runs"])
    for each in pictures:
        charts, tables = kinds(each, "chart"), list(each.iter("table"))
        assert len(charts) == 1
        assert [len(text(part)) > 4 for part in (charts[0][0], charts[0][1])] == [True, True]
        assert tables
        assert all(text(part) for table in tables for part in table.iter("caption"))
        assert all(len(row) == len(table.find("thead/tr")) for table in tables for row in table.iter("tr"))  # type: ignore[arg-type]
    ids = [each.get("id") for each in read.iter() if each.get("id")]
    assert len(ids) == len(set(ids))


def test_a_report_without_load_has_no_such_part() -> None:
    """Older reports, and those of which no load was measured."""
    assert 'id="load"' not in html.render({})
    assert 'id="load"' not in html.render({"load": []})


def test_the_head_names_what_did_not_pass() -> None:
    """With a link to where it is told."""
    page = html.render({"load": [sample("overload"), sample("latency")]})
    head = page[: page.index("</header>")]
    assert '<a href="#load">overload under load: fail</a>' in head
    assert "latency under load" not in head


def test_one_run_is_unfolded() -> None:
    """The one nearest to the answer; the others can be opened."""
    read = section(sample("capacity"))
    folded = kinds(read, "run")
    assert len(folded) == len(sample("capacity")["runs"]) - 1
    assert not any("84.4/s" in text(each[0]) for each in folded)


def test_quantiles_have_the_same_room_for_each_nine() -> None:
    """From 90 to 99 % is as far as from 99 to 99.9 %."""
    x = scale.nines(0.9999)
    shares = [x.share(each) for each in (0.0, 0.9, 0.99, 0.999, 0.9999)]
    assert shares == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert [words for _, words in x.ticks] == ["50 %", "90 %", "99 %", "99.9 %", "99.99 %"]


def test_an_objective_stands_at_its_quantile() -> None:
    """``p999_ms`` is the 99.9th percentile; what is no latency has no line."""
    found = list(quantiles.limits({"p95_ms": 400, "p999_ms": 2000.0, "errors": 0, "p50_ms": "soon"}))
    assert [each[:2] for each in found] == [(0.95, 400.0), (0.999, 2000.0)]
    assert found[1][2] == "objective: 99.9 % within 2,000 ms"
    run = sample("latency")["runs"][0]
    read = drawn(quantiles.draw(run, {"p95_ms": 400}, "key"))
    (line,) = kinds(read, "objective")
    (dot,) = kinds(read, "objective-dot")
    assert line.get("y1") == line.get("y2") == dot.get("cy")


def test_each_stage_has_a_line_with_its_name() -> None:
    """All that were measured, and no other; names do not lie on each other."""
    run = {**sample("latency")["runs"][0]}
    run["stages"] = {name: run["stages"][name] for name in ("total", "queue")}
    read = drawn(quantiles.draw(run, {}, "key"))
    assert [text(each) for each in kinds(read, "key")] == ["queue", "total"]
    assert len(kinds(read, "line")) == 2
    assert spread([10.0, 12.0, 11.0, 80.0]) == [10.0, 36.0, 23.0, 80.0]


def told_seconds(count: int, **more: Any) -> list[dict[str, Any]]:
    """So many seconds of a run in which nothing special happens."""
    one = Second(0.0, 50, 50, 50, 49, 0, 3, 60.0, 200.0)
    return [dataclasses.asdict(dataclasses.replace(one, t=float(t), **more)) for t in range(count)]


def test_errors_are_marked_where_they_happened() -> None:
    """A single one in a fast run is to be seen, in its second and in words."""
    series = told_seconds(100)
    series[42]["errors"] = 1
    run = sample("latency")["runs"][0] | {"series": series, "nodes": [], "queue": None}
    read = drawn(overtime.draw(run, {}, "key"))
    (mark,) = [each for each in kinds(read, "errors") if each.tag == "rect"]
    assert (mark.get("x"), float(mark.get("height", "0")) >= 4) == ("42.00%", True)
    assert "42 s: 50/s due, 49/s ended, 1 error" in text(read)


def test_warm_up_is_shaded() -> None:
    """From the start until it ends, in every plot; not where there was none."""
    run = sample("latency")["runs"][0]
    plots = 3 + len({node["role"] for node in run["nodes"]})
    shades = kinds(drawn(overtime.draw(run, {}, "key")), "warm-up")
    assert {(each.get("x"), each.get("width")) for each in shades} == {("0.00%", "10.00%")}
    assert len(shades) == plots
    assert kinds(drawn(overtime.draw({**run, "warmup_s": 0.0}, {}, "key")), "warm-up") == []


def test_all_plots_share_one_axis_of_time() -> None:
    """A watcher that looked longer than the load lasted makes all of them longer."""
    run = sample("latency")["runs"][0]
    late = {**run["queue"], "t": [2 * t for t in run["queue"]["t"]]}
    shades = kinds(drawn(overtime.draw({**run, "queue": late}, {}, "key")), "warm-up")
    assert {each.get("width") for each in shades} == {f"{100 * 6 / 118:.2f}%"}


def test_a_long_run_is_drawn_in_steps() -> None:
    """Few enough to be drawn; no error and no slow second is lost."""
    series = told_seconds(10_000)
    series[7777] |= {"errors": 3, "p99_ms": 9000.0}
    steps = seconds.steps(series)
    assert len(steps) <= seconds.MOST_STEPS
    assert sum(step.errors for step in steps) == 3
    assert max(step.p99 or 0 for step in steps) == 9000.0
    assert {step.due for step in steps} == {50.0}
    assert "each row stands for 42 seconds" in seconds.table(steps).caption


def test_gaps_break_a_line() -> None:
    """Where nothing ended there is no latency, and none is drawn."""
    series = told_seconds(9)
    series[4] |= {"p50_ms": None, "p99_ms": None}
    run = sample("latency")["runs"][0] | {"series": series, "nodes": [], "queue": None}
    read = drawn(overtime.draw(run, {}, "key"))
    paths = {each.get("class"): each.get("d", "").count("M") for each in kinds(read, "line")}
    assert paths == {"line due": 1, "line ended": 1, "line p50": 2, "line p99": 2}


def test_a_refused_fit_has_no_band_and_says_why() -> None:
    """The model that is used has a band; of the others there is a line at most."""
    scaling = sample("scaling")["scaling"]
    read = drawn(scalingcurve.draw(scaling, "key"))
    assert [each.get("class") for each in kinds(read, "band")] == ["band fit-usl"]
    assert [each.get("class") for each in kinds(read, "refused")] == ["line fit-amdahl refused"]
    table = scalingcurve.fits_table(scaling)
    assert [row[-1] for row in table.rows] == [
        "yes",
        *(f"no: {fit['refused']}" for fit in scaling["fits"][1:]),
    ]
    assert "4 cores" in text(read)
    assert [each.tag for each in kinds(read, "measured")].count("circle") == len(scaling["points"])


def test_a_point_that_is_no_number_is_only_in_the_table() -> None:
    """It is not drawn, and the others are."""
    scaling = sample("scaling")["scaling"]
    points = [[3, {"value": math.nan, "low": None, "high": None}], *scaling["points"]]
    read = drawn(scalingcurve.draw({**scaling, "points": points}, "key"))
    assert [each.tag.rpartition("}")[2] for each in kinds(read, "measured")].count("circle") == len(
        points
    ) - 1
    assert ("3", "–") in scalingcurve.points_table({"points": points}).rows


def test_steps_of_a_search_are_distinguished_without_colour() -> None:
    """Held, not held and no verdict have a sign each, and their reason in words."""
    capacity = sample("capacity")["capacity"]
    read = drawn(search.draw(capacity, "key"))
    marks = [
        each for name in ("held", "missed", "unknown") for each in kinds(read, name) if each.tag != "tspan"
    ]
    assert [each.tag.rpartition("}")[2] for each in marks] == ["circle"] * 5 + ["text"] * 2 + ["circle"]
    assert all(step["why"] in text(read) for step in capacity["steps"])
    assert "84.4 (82.1 to 86.9) a second" in text(read)


def test_overload_is_reported_before_during_and_after() -> None:
    """Rates, latency, its bound, the refusal's words, and when all was as before."""
    told = sample("overload")["overload"]
    table = beyond.table(told)
    assert {'503: {"error": "queue is full"}', "3.40 s", "1,190 ms"} <= {row[1] for row in table.rows}
    never = beyond.table({**told, "recovered_s": None})
    assert never.rows[-1] == ("recovered after", "not observed")
    assert "bound: 1,500 ms" in text(drawn(beyond.draw(told, "key")))


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (0.03123, "0.0312"), (4.713, "4.71"), (99.96, "100"), (1240.4, "1,240"), (3.1e16, "3.1e+16"),
     (-2.5, "-2.5"), (1e-9, "1e-09"), (None, "–"), (math.nan, "–"), (math.inf, "–")],
)  # fmt: skip
def test_three_digits_say_enough(value: float | None, words: str) -> None:
    """And what is no number is a dash."""
    assert figure(value) == words


def test_an_interval_is_only_shown_where_there_is_one() -> None:
    """With one end alone it says nothing."""
    assert interval({"value": 5.0, "low": 4.0, "high": 6.0}) == "5 (4 to 6)"
    assert interval({"value": 5.0, "low": None, "high": 6.0}) == "5"
    assert interval(None) == "–"


@given(st.floats(allow_nan=False), st.floats(allow_nan=False), st.floats(allow_nan=False))
def test_scales_hold_what_they_are_given(one: float, other: float, value: float) -> None:
    """Places are within the axis and in order; so are the ticks, which are few and within, too."""
    first, last = sorted((one, other))
    for made in (
        scale.linear(first, last), scale.linear(first, last, whole=True, snug=True), scale.log(first, last),
        scale.nines(last), scale.clock(first, last), scale.magnitudes([first, last]),
    ):  # fmt: skip
        places = [made.share(each) for each, _ in made.ticks]
        assert places == sorted(places)
        assert len(places) <= 12
        assert 0 <= made.share(value) <= 1
        assert made.share(made.first) == 0
        assert made.share(made.last) == pytest.approx(1)
        assert all(words for _, words in made.ticks)


FLOATS = st.floats(width=64) | st.sampled_from([0.0, 1e-300, 1e300, -1.0, 0.5, 60.0])
COUNTS = st.integers(0, 2**63)
TEXTS = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn")) | st.sampled_from("<&\"'>∞ü中"), max_size=12
)
PLAIN = st.dictionaries(
    TEXTS, TEXTS | FLOATS | st.none() | st.booleans() | st.lists(FLOATS, max_size=2), max_size=3
)
MANY = st.lists(FLOATS, max_size=3).map(tuple)
INTERVALS = st.builds(Interval, FLOATS, st.none() | FLOATS, st.none() | FLOATS)
STAGE = st.builds(
    Stage, COUNTS, *[FLOATS] * 6, curve=st.lists(st.tuples(FLOATS, FLOATS), max_size=3).map(tuple)
)
SECONDS = st.builds(Second, FLOATS, *[COUNTS] * 6, st.none() | FLOATS, st.none() | FLOATS)
NODES = st.builds(
    result.NodeSeries,
    TEXTS,
    TEXTS,
    FLOATS,
    MANY,
    MANY,
    MANY,
    TEXTS,
    st.dictionaries(TEXTS, MANY, max_size=2),
    MANY,
)
WHOLE = st.lists(COUNTS, max_size=3).map(tuple)
QUEUES = st.builds(result.QueueSeries, MANY, WHOLE, WHOLE, WHOLE)
RUNS = st.builds(
    Run,
    TEXTS, TEXTS, *[FLOATS] * 4, st.none() | COUNTS, COUNTS,
    st.dictionaries(TEXTS, COUNTS, max_size=2), FLOATS,
    st.dictionaries(st.sampled_from(result.STAGES), STAGE, max_size=5),
    st.lists(SECONDS, max_size=3).map(tuple), st.lists(NODES, max_size=2).map(tuple), st.none() | QUEUES,
    st.fixed_dictionaries({}, optional={"what": TEXTS, "why": TEXTS, "evidence": PLAIN}),
    st.lists(TEXTS, max_size=2).map(tuple), TEXTS,
    st.dictionaries(TEXTS, st.lists(TEXTS, max_size=2).map(tuple), max_size=2),
)  # fmt: skip
FITS = st.builds(
    result.Fit, st.sampled_from(["amdahl", "usl", "linear"]), st.dictionaries(TEXTS, INTERVALS, max_size=2),
    FLOATS, st.lists(st.tuples(*[FLOATS] * 4), max_size=3).map(tuple), st.none() | FLOATS, st.none() | FLOATS,
    st.none() | INTERVALS, TEXTS,
)  # fmt: skip
SCALINGS = st.builds(
    result.Scaling, st.lists(st.tuples(COUNTS, INTERVALS), max_size=3).map(tuple),
    st.lists(FITS, max_size=3).map(tuple), COUNTS, TEXTS,
)  # fmt: skip
STEPS = st.fixed_dictionaries({"rate": FLOATS, "held": st.none() | st.booleans()}, optional={"why": TEXTS})
CAPACITIES = st.builds(
    result.Capacity, INTERVALS, st.none() | FLOATS, TEXTS, TEXTS, st.lists(STEPS, max_size=3).map(tuple)
)
OVERLOADS = st.builds(result.Overload, *[FLOATS] * 3, TEXTS, *[FLOATS] * 3, st.none() | FLOATS, TEXTS)
FOUND = st.builds(
    ExperimentResult,
    st.sampled_from(get_args(result.Experiment)), st.sampled_from(get_args(result.Verdict)), TEXTS, TEXTS,
    FLOATS, PLAIN, PLAIN, st.dictionaries(TEXTS | st.just("p95_ms"), FLOATS, max_size=2), PLAIN,
    throughput=st.none() | INTERVALS, latency=st.dictionaries(TEXTS, INTERVALS, max_size=2),
    runs=st.lists(RUNS, max_size=2).map(tuple), scaling=st.none() | SCALINGS, capacity=st.none() | CAPACITIES,
    overload=st.none() | OVERLOADS, doubts=st.lists(TEXTS, max_size=2).map(tuple), partial=TEXTS,
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(FOUND)
def test_whatever_was_found_has_a_page(found: ExperimentResult) -> None:
    """No samples, no seconds, no intervals, numbers that are none, huge or tiny, any text: well-formed."""
    read = section(document(found))
    assert found.told.strip() in text(read)
    for each in read.iter():
        if each.tag.rpartition("}")[2] in SVG:
            places = [value for name, value in each.items() if name not in ("class", "id", "aria-labelledby")]
            assert not any(re.search(r"nan|inf|e[+-]\d", value) for value in places), each.attrib


def test_two_experiments_of_a_kind_share_a_page() -> None:
    """No id is there twice."""
    read = section(sample("latency"), sample("latency"))
    ids = [each.get("id") for each in read.iter() if each.get("id")]
    assert len(ids) == len(set(ids)) > 10
