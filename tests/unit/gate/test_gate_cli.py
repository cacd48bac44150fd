"""``wavetank gate --from``: what each kind of fresh result comes to, and what is said of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest
from gate_desk import Desk, Outcome
from gate_samples import FASTER, PASSED, SAME, SLOWER, STEADY, WILD, found, report, run

from harness.gate.document import SCHEMA_FILE
from harness.gate.model import Gate
from harness.load.result import Interval
from harness.load.stats.interval import t_interval

SCHEMA: Any = json.loads(SCHEMA_FILE.read_text())


def verdicts(done: Outcome, kind: str) -> dict[str, str]:
    """Each judgement of a kind by its name."""
    return {each["name"]: each["verdict"] for each in done.document["judgements"] if each["kind"] == kind}


def told(done: Outcome, kind: str, name: str) -> str:
    """Why a judgement is what it is."""
    judgements = done.document["judgements"]
    return next(str(each["told"]) for each in judgements if (each["kind"], each["name"]) == (kind, name))


@pytest.mark.parametrize(
    ("p95", "code", "verdict"),
    [(SAME, 0, "pass"), (FASTER, 0, "pass"), (SLOWER, 1, "fail"), (WILD, 2, "inconclusive")],
)
def test_a_fresh_result_is_held_against_the_baseline(
    desk: Desk, p95: tuple[float, ...], code: int, verdict: str
) -> None:
    """The same and a better one pass, a worse one fails, a noisy one is nobody's guess."""
    done = desk.gate(report(found(p95)))
    assert (done.code, done.document["verdict"]) == (code, verdict)
    assert verdicts(done, "baseline")["p95_ms"] == verdict
    assert set(verdicts(done, "objective").values()) == {"pass"}
    jsonschema.validate(done.document, SCHEMA)


def test_every_metric_is_compared(desk: Desk) -> None:
    """Also those that are all right; each is told in its unit with its change."""
    done = desk.gate(report(found(SLOWER)))
    assert verdicts(done, "baseline") == {
        "comparable": "pass",
        "p50_ms": "fail",
        "p95_ms": "fail",
        "p99_ms": "fail",
        "error_share": "pass",
    }
    judged = next(
        each
        for each in done.document["judgements"]
        if each["kind"] == "baseline" and each["name"] == "p95_ms"
    )
    assert judged["baseline"]["value"] == pytest.approx(800)
    assert judged["now"]["value"] == pytest.approx(1010)
    assert 0.22 < judged["change"]["low"] <= judged["change"]["value"] <= judged["change"]["high"] < 0.32
    assert judged["p_value"] < 0.05


def test_what_is_surely_not_worse_passes_though_its_size_is_open(desk: Desk) -> None:
    """Between much faster and the same: not "same", not "better", and no reason to stop anybody."""
    done = desk.gate(report(found((560.0, 815.0, 640.0, 800.0, 700.0))))
    assert done.code == 0, done.out
    assert "in any case it is not worse by 10%" in told(done, "baseline", "p95_ms")


def test_too_few_repetitions_are_inconclusive(desk: Desk) -> None:
    """Two show nothing, and it is said how many would."""
    done = desk.gate(report(found(SLOWER[:2])))
    assert done.code == 2
    assert "it takes 5 of each" in told(done, "baseline", "p95_ms")


def test_without_a_baseline_objectives_decide(desk: Desk) -> None:
    """Whether it got slower is then not asked."""
    done = desk.alone(report(found(SLOWER)))
    assert done.code == 0
    assert verdicts(done, "objective") == {
        "throughput": "pass",
        "p95_ms": "pass",
        "p99_ms": "pass",
        "error_share": "pass",
    }
    assert verdicts(done, "baseline") == {}


def test_a_limit_that_is_missed_fails(desk: Desk) -> None:
    """By all of the interval."""
    done = desk.alone(report(found(tuple(each * 3 for each in STEADY))))
    assert done.code == 1
    assert verdicts(done, "objective")["p95_ms"] == "fail"
    assert "at most 2000 ms" in told(done, "objective", "p95_ms")


def test_a_limit_inside_the_interval_is_inconclusive(desk: Desk) -> None:
    """However near the value itself may be to one side."""
    done = desk.alone(report(found((1500.0, 2400.0, 1700.0, 2300.0, 1600.0))))
    assert done.code == 2
    assert verdicts(done, "objective")["p95_ms"] == "inconclusive"
    assert "the limit is inside the interval" in told(done, "objective", "p95_ms")


def test_one_run_has_no_interval_and_meets_no_limit(desk: Desk) -> None:
    """In these words; far within the limit is not enough, for nobody knows how far off the next would be."""
    done = desk.alone(report(found((81.0,), latency={"p95_ms": Interval(81.0)})))
    assert done.code == 2
    assert verdicts(done, "objective")["p95_ms"] == "inconclusive"
    assert "p95: 81 ms; at most 2000 ms; one run so far: an interval takes at least 2" in told(
        done, "objective", "p95_ms"
    )


def test_one_error_is_one_too_many_where_none_is_allowed(desk: Desk) -> None:
    """The words say how many of how many."""
    clean = found()
    runs = (*clean.runs[:4], run(4, wrong=1))
    done = desk.alone(report(replace(clean, runs=runs)))
    assert done.code == 1
    assert "1 of 500; none" in told(done, "objective", "error_share")


def test_a_quantile_that_no_repetition_ever_reached_fails(desk: Desk) -> None:
    """Endless everywhere is over any limit, though no interval can be told of it."""
    endless = (float("inf"),) * 5
    lost = found(endless, wrong=50)
    done = desk.alone(report(replace(lost, latency={**lost.latency, "p95_ms": Interval(float("inf"))})))
    assert done.code == 1
    assert verdicts(done, "objective")["p95_ms"] == "fail"
    assert "endless" in told(done, "objective", "p95_ms")
    assert "Infinity" not in done.out
    assert "NaN" not in done.out


def test_repetitions_without_an_answer_count_as_the_worst(desk: Desk) -> None:
    """Null is not left out, or losing the slowest would make a run look fast."""
    made = report(found(SAME))
    made["load"][0]["samples"]["p95_ms"] = [None] * 5
    done = desk.gate(made)
    assert done.code == 1
    assert verdicts(done, "baseline")["p95_ms"] == "fail"


def test_another_environment_is_inconclusive_and_said(desk: Desk) -> None:
    """All that differs, with what it was and is; figures are shown all the same."""
    other = found(SLOWER, environment={"kernel": "6.18.0", "cores": 8})
    done = desk.gate(report(other, target="do"))
    assert done.code == 2
    why = told(done, "baseline", "comparable")
    assert "target: local then, do now" in why
    assert "cores: 2 then, 8 now" in why
    assert "kernel: 6.1.0 then, 6.18.0 now" in why
    assert set(verdicts(done, "baseline").values()) == {"inconclusive"}
    assert "worse" in told(done, "baseline", "p95_ms")


@pytest.mark.parametrize(("p95", "code"), [(SAME, 0), (SLOWER, 1)])
def test_another_environment_can_be_accepted(desk: Desk, p95: tuple[float, ...], code: int) -> None:
    """The comparison then counts, and what differs is still said."""
    done = desk.gate(report(found(p95, environment={"cores": 8})), "--accept-environment")
    assert done.code == code
    assert "accepted although it differs: cores: 2 then, 8 now" in told(done, "baseline", "comparable")


def test_other_programs_under_the_same_name_are_another_workload(desk: Desk) -> None:
    """A baseline of other work says nothing of this one."""
    changed = {"name": "hello", "seed": 1, "programs": [{"name": "hello", "language": "cpp", "weight": 1}]}
    done = desk.gate(report(found(SAME, workload=changed)))
    assert done.code == 2
    assert "'hello' does not have the same programs" in told(done, "baseline", "comparable")


def test_another_topology_is_not_comparable(desk: Desk) -> None:
    """By what the topology said when the load was put on, if the entry tells it."""
    done = desk.gate(report(found(SAME, environment={"topology_sha256": "0" * 64})))
    assert done.code == 2
    assert "the content of 'standard' has changed" in told(done, "baseline", "comparable")


def test_a_baseline_without_this_load_is_inconclusive(desk: Desk) -> None:
    """And says what it has."""
    done = desk.gate(report(found(SAME, route={"door": "judge0", "way": "poll"})))
    assert done.code == 2
    why = told(done, "baseline", "comparable")
    assert "no latency of 'hello' at 4/s through judge0 (poll)" in why
    assert "it has latency of 'hello' at 4/s through client (wait)" in why


@pytest.mark.parametrize("p95", [SAME, SLOWER, tuple(each * 9 for each in STEADY)])
def test_a_partial_result_is_no_verdict(desk: Desk, p95: tuple[float, ...]) -> None:
    """Neither a good nor a bad one."""
    done = desk.gate(report(found(p95, partial="stopped by SIGINT")))
    assert done.code == 2
    assert "stopped by SIGINT" in told(done, "measurement", "latency")
    assert set(verdicts(done, "objective").values()) == {"inconclusive"}


def test_a_doubt_of_one_run_puts_all_in_doubt(desk: Desk) -> None:
    """Who was measured then may be the generator."""
    steady = found(SLOWER)
    late = replace(steady, runs=(run(0, doubts=("the generator was late itself",)), *steady.runs[1:]))
    done = desk.gate(report(late))
    assert done.code == 2
    assert told(done, "measurement", "latency") == "the generator was late itself"
    assert "the measurement itself is in doubt" in told(done, "baseline", "p95_ms")


def test_a_wide_interval_is_noted_and_judged(desk: Desk) -> None:
    """`wavetank bench` would have liked it narrower; limits far away do not care."""
    doubt = "after 5 runs p95_ms is not known to ±10%"
    done = desk.alone(report(found(WILD, verdict="inconclusive", doubts=(doubt,))))
    assert done.code == 0
    assert done.document["notes"] == [doubt]


@pytest.mark.parametrize(
    ("outcome", "code", "verdict"), [("failed", 1, "fail"), ("inconclusive", 2, "inconclusive")]
)
def test_checks_count(desk: Desk, outcome: str, code: int, verdict: str) -> None:
    """With the reasons of those that did not pass."""
    bad = {**PASSED, "id": "frontdoor.accepts", "outcome": outcome, "reason": "answered 502"}
    done = desk.gate(report(found(SAME), checks=[PASSED, bad]))
    assert done.code == code
    assert verdicts(done, "checks") == {"checks": verdict}
    assert told(done, "checks", "checks") == f"1 passed, 1 {outcome}; frontdoor.accepts: answered 502"


def test_checks_can_be_left_out(desk: Desk) -> None:
    """They are neither judged nor missed, and the gate says so."""
    done = desk.gate(report(found(SAME), checks=[]), "--no-verify")
    assert done.code == 0
    assert verdicts(done, "checks") == {}
    assert "checks were skipped" in done.document["notes"]


def test_a_report_without_checks_has_not_passed(desk: Desk) -> None:
    """Nothing was checked is not: nothing is wrong."""
    done = desk.gate(report(found(SAME), checks=[]))
    assert done.code == 2
    assert told(done, "checks", "checks") == "nothing was checked"


def test_of_several_loads_the_latest_counts(desk: Desk) -> None:
    """And loads of another rate or experiment are no matter."""
    soak = found(SLOWER, experiment="soak")
    faster = found(SLOWER, objective={"rate": 40.0})
    done = desk.gate(report(found(SLOWER), soak, found(SAME), faster))
    assert done.code == 0


def test_the_report_is_not_touched(desk: Desk) -> None:
    """Judging is reading."""
    made = report(found(SLOWER))
    assert desk.gate(made).code == 1
    assert json.loads((desk.directory / "report.json").read_text()) == json.loads(json.dumps(made))


def test_text_has_a_line_for_each_judgement_and_the_verdict_last(desk: Desk) -> None:
    """For people."""
    desk.gate(report(found(SLOWER)))
    file = desk.directory / "report.json"
    done = desk.wavetank("gate", f"--from={file}", f"--baseline={desk.baseline}")
    lines = done.out.splitlines()
    assert done.code == 1
    assert any(line.startswith("fail          baseline     p95: worse: +26") for line in lines)
    assert lines[-1] == "standard-7f3a on local: fail (3 fail, 8 pass)"


def of(metric: str, values: tuple[float, ...]) -> dict[str, Any]:
    """The report of a load that is as it was but for one metric."""
    made = found(SAME)
    changed = replace(made, samples={**made.samples, metric: values})
    if metric == "throughput":
        changed = replace(changed, throughput=t_interval(values))
    return report(changed)


def test_throughput_at_a_given_rate_is_not_compared(desk: Desk) -> None:
    """It is what arrived, and arrivals are random; its own limit is still held."""
    done = desk.gate(of("throughput", (3.3, 3.2, 3.25, 3.28, 3.31)))
    assert done.code == 0
    assert "throughput" not in verdicts(done, "baseline")
    assert verdicts(done, "objective")["throughput"] == "pass"


def test_a_quantile_of_too_few_arrivals_is_not_compared(desk: Desk) -> None:
    """The 99th percentile of 73 is the slowest of them; that is said, and the others are compared."""
    few = found(SAME)
    few = replace(few, runs=tuple(replace(each, arrivals=73) for each in few.runs))
    done = desk.gate(report(few))
    assert done.code == 0
    assert set(verdicts(done, "baseline")) == {"comparable", "p50_ms", "p95_ms", "error_share"}
    assert "p99 is not: it needs 100 arrivals in each run" in told(done, "baseline", "comparable")


@pytest.mark.parametrize(
    ("rates", "verdict"),
    [
        ((3.3, 3.2, 3.25, 3.28, 3.31), "pass"),
        ((2.0, 2.1, 1.9, 2.05, 2.2), "fail"),
        ((2.6, 3.6, 2.8, 3.4, 3.2), "inconclusive"),
    ],
    ids=["above", "below", "around"],
)
def test_throughput_has_a_lower_limit(desk: Desk, rates: tuple[float, ...], verdict: str) -> None:
    """All of the interval must be above it, or below."""
    done = desk.alone(of("throughput", rates))
    assert verdicts(done, "objective")["throughput"] == verdict


def test_errors_where_there_were_none_are_never_harmless(desk: Desk) -> None:
    """A tenth of nothing is nothing: one repetition with some is not waved through."""
    done = desk.gate(of("error_share", (0.0, 0.0, 0.05, 0.0, 0.0)))
    assert verdicts(done, "baseline")["error_share"] == "inconclusive"
    judged = next(
        each for each in done.document["judgements"] if each["name"] == "error_share" and each["change"]
    )
    assert judged["relative"] is False


def test_a_metric_that_one_side_lacks_is_said(desk: Desk) -> None:
    """It is neither the same nor worse."""
    made = report(found(SAME))
    del made["load"][0]["samples"]["p99_ms"]
    done = desk.gate(made)
    assert done.code == 2
    assert told(done, "baseline", "p99_ms") == "p99: this run does not have it"


def test_where_nothing_was_judged_nothing_has_passed() -> None:
    """An empty gate is no green one."""
    assert Gate("a", "local", "standard", ()).verdict == "inconclusive"
