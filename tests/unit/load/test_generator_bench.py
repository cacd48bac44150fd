"""What other load generators say is read right, and what is promised of ours is judged by it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.core.wait import NotYet, wait_for
from tests.bench import generator
from tests.bench.generator import Row, judge, table
from tests.bench.generator_servers import stopped
from tests.bench.generator_tools import Figures, Job, figures, missing, read_hey, read_locust, read_wrk

WRK = """Running 3s test @ http://127.0.0.1:18080/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.90ms    6.37ms  87.40ms   96.49%
    Req/Sec    99.12k    21.04k  124.34k    73.33%
  Latency Distribution
     50%  467.00us
     75%    0.87ms
     90%    2.17ms
     99%   1.02s
  295907 requests in 3.01s, 45.43MB read
  Socket errors: connect 0, read 1, write 0, timeout 2
Requests/sec:  98456.62
Transfer/sec:     15.12MB
"""
HEY = """response-time,DNS+dialup,DNS,Request-write,Response-delay,Response-read,status-code,offset
0.0010,0.0007,0.0000,0.0000,0.0004,0.0000,200,0.0000
0.0020,0.0007,0.0000,0.0000,0.0004,0.0000,200,0.5000
0.0030,0.0007,0.0000,0.0000,0.0004,0.0000,503,0.9970
"""
LOCUST = """Type,Name,Request Count,Failure Count,Requests/s,50%,90%,99%
GET,/,7,1,3.5,1,2,3
,Aggregated,2000,5,998.5,1,4,22
"""


def test_wrk_is_read_in_all_its_units() -> None:
    """Microseconds, milliseconds, seconds; and errors of any kind."""
    assert read_wrk(WRK, 2.95907) == Figures(
        "wrk", 98456.62, (0.467, 2.17, 1020.0), pytest.approx(10), errors=3
    )


def test_hey_is_read_from_each_of_its_requests() -> None:
    """Its rate is over the time that it took, and what is not 200 is an error."""
    told = read_hey(HEY, 0.003)
    assert told.rate == pytest.approx(3)
    assert told.ms[0] == pytest.approx(2.0)
    assert (told.errors, told.cpu_us) == (1, pytest.approx(1000))


def test_locust_is_read_from_its_sum() -> None:
    """Not from the row of one kind of request."""
    assert read_locust(LOCUST, 0.2) == Figures(
        "locust", 998.5, (1.0, 4.0, 22.0), pytest.approx(100), errors=5
    )


def test_a_tool_that_is_not_installed_has_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stands in table and JSON."""
    monkeypatch.setenv("PATH", "")
    assert missing("wrk") == "not installed: apt-get install wrk"
    told = figures("hey", Job(1, 1, 1), ())
    assert told == Figures("hey", note="not installed: apt-get install hey")
    assert "not installed: apt-get install hey" in table([Row("closed", 0, 64, told)])


def rows(late: float = 0.1, p99: float = 20.0, stop: float = 902.0) -> list[Row]:
    """What a good run finds, or another."""
    return [
        Row("open", 20_000, 256, Figures("wavetank", 20_000, (0.1, 0.1, 0.3), 20, (0.02, late))),
        Row("known", 0, 16, Figures("wavetank", 1000, (10.0, 15.0, p99))),
        Row("known", 0, 16, Figures("wrk", 1000, (10.0, 15.0, 20.0))),
        Row("stop", 1000, 16, Figures("wavetank", 1000, (0.1, 0.1, stop))),
        Row("stop", 1000, 16, Figures("hey", 900, (0.1, 0.1, 0.8))),
    ]


@pytest.mark.parametrize(
    ("found", "held"),
    [
        (rows(), [True, True, True]),
        (rows(late=0.21), [False, True, True]),
        (rows(p99=21.1), [True, False, True]),
        (rows(stop=840), [True, True, False]),
        ([row for row in rows() if row.figures.tool != "wrk"], [True, True]),
    ],
    ids=["good", "late", "disagrees", "hides the stop", "no wrk"],
)
def test_each_promise_is_judged_by_itself(found: list[Row], held: list[bool]) -> None:
    """And nothing is said of what was not measured."""
    assert [each for _, each in judge(found)] == held


def test_the_tables_show_every_row() -> None:
    """Lateness only where it was asked to be on time."""
    shown = table(rows())
    assert "0.020 / 0.100" in shown
    assert shown.count("wavetank") == 3
    assert "902.000" in shown


@pytest.mark.parametrize(
    "options", [["--tools", "ab"], ["--tools", ","], ["--rates", "0"], ["--rates", "fast"]]
)
def test_options_that_cannot_be_are_refused(options: list[str]) -> None:
    """Before anything is started."""
    told = CliRunner().invoke(generator.main, options)
    assert told.exit_code == 2
    assert "take " in told.output


def test_a_stopped_process_goes_on_even_if_the_block_ends_first() -> None:
    """It is never left standing."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        try:
            with stopped(process, 0.0, 1.0):
                wait_for("the stop", lambda: _state(process, "T"), deadline=20, max_pause=0.05)
            wait_for("going on", lambda: _state(process, "SR"), deadline=20)
            with stopped(process, 600, 1):
                pass
        finally:
            os.kill(process.pid, signal.SIGCONT)
            process.kill()


def _state(process: subprocess.Popen[bytes], wanted: str) -> None:
    state = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0]
    if state not in wanted:
        raise NotYet(state)
