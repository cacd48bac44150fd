"""The paced prober's verdicts, from scripted answers: nothing is filtered that could be something else."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.core import ports
from harness.core.errors import CommandError
from harness.core.ports import ALL, NONE, Ports
from harness.firewall.model import Pair
from harness.isolation.model import ScanResult
from harness.isolation.paced import control as paced_control
from harness.isolation.paced import remote_scripts
from harness.isolation.paced.ends import Ends
from harness.isolation.paced.judging import Findings, verdicts
from harness.isolation.paced.probe_sources import Pace
from harness.isolation.paced.remote_scripts import RemoteScript, here
from harness.isolation.paced.tally import ProbeTask, Tally
from harness.isolation.paced.verdict import Account, Control, Outcomes, judge, merge
from harness.topology.deployment import Connection, DatabaseNode, Node
from harness.topology.model import Protocol

PAIR = Pair("a", "b")
SHOWN = Control("", {"control_answered": 1})
TEN = ports.parse("1-10")


def verdict(
    *passes: dict[str, str],
    protocol: Protocol = "tcp",
    asked: Ports = TEN,
    control: Control = SHOWN,
    retries: str = "",
    arrived: str | None = None,
    lost: str = "",
) -> ScanResult:
    """What is made of passes given as {word: ports}; ``retries`` answered once more as open."""
    account = Account(
        asked,
        tuple(words(**each) for each in passes),
        retries=words(open=retries),
        arrived=None if arrived is None else parsed(arrived),
        lost=lost,
    )
    return judge(PAIR, protocol, account, control)


def words(**given: str) -> Outcomes:
    return {word.replace("_", " "): parsed(each) for word, each in given.items() if each}


def parsed(text: str) -> Ports:
    return ports.parse(text) if text else NONE


def test_open_closed_and_silent_are_told_apart() -> None:
    """Two passes that agree, on a path that is shown."""
    each = {"open": "1", "closed": "2", "silent": "3-10"}
    result = verdict(each, each)
    found = result.open, result.closed, result.filtered, result.inconclusive
    assert found == (parsed("1"), parsed("2"), parsed("3-10"), NONE)
    assert result.probes == 20
    assert result.evidence["silent"] == 16
    assert result.doubts == ()


def test_silence_needs_a_control() -> None:
    """Answers stand by themselves; silence does not."""
    each = {"open": "1", "silent": "2-10"}
    result = verdict(each, each, control=Control())
    assert (result.open, result.filtered, result.inconclusive) == (parsed("1"), NONE, parsed("2-10"))
    assert "nothing shows" in result.doubts[0]


def test_one_silent_pass_is_no_verdict() -> None:
    """A source that was lost after its first pass has asked once only."""
    result = verdict({"open": "1", "silent": "2-10"}, {"silent": "2-4"}, lost="a was lost")
    assert (result.open, result.filtered, result.inconclusive) == (parsed("1"), parsed("2-4"), parsed("5-10"))
    assert any("a was lost" in each for each in result.doubts)


@pytest.mark.parametrize(("retries", "state"), [("1", "open"), ("", "inconclusive")])
def test_who_answers_once_and_not_twice_is_asked_again(retries: str, state: str) -> None:
    """A packet may get lost; a port that stays silent the second time is in doubt."""
    result = verdict({"open": "1", "silent": "2-10"}, {"silent": "1-10"}, retries=retries)
    assert getattr(result, state) == parsed("1")
    assert result.filtered == parsed("2-10")


def test_two_answers_are_in_doubt() -> None:
    """Open in one pass and closed in the other."""
    result = verdict({"open": "1-10"}, {"open": "2-10", "closed": "1"})
    assert (result.inconclusive, result.open, result.closed) == (parsed("1"), parsed("2-10"), NONE)


def test_an_error_of_this_side_is_never_filtered() -> None:
    """No descriptor, no port, no route of its own: the word is told."""
    each = {"silent": "2-10", "local_EMFILE": "1"}
    result = verdict(each, each)
    assert result.inconclusive == parsed("1")
    assert "local EMFILE" in " ".join(result.doubts)


def test_what_the_network_refuses_is_filtered_and_told() -> None:
    """An ICMP unreachable is not silence; its name is in doubts and evidence."""
    each = {"open": "1", "unreachable_EHOSTUNREACH": "2-10"}
    result = verdict(each, each)
    assert result.filtered == parsed("2-10")
    assert "2-10 unreachable EHOSTUNREACH" in result.doubts
    assert result.evidence["unreachable_EHOSTUNREACH"] == 18


def test_udp_without_the_receivers_word() -> None:
    """An answer is open, a refusal closed; silence may be either of two things."""
    each = {"open": "1", "closed": "2", "silent": "3-10"}
    result = verdict(each, each, protocol="udp")
    assert (result.open, result.closed, result.filtered) == (parsed("1"), parsed("2"), NONE)
    assert result.inconclusive == parsed("3-10")


def test_udp_with_the_receivers_word() -> None:
    """What arrived and is silent can be reached; what did not arrive is filtered."""
    each = {"open": "1", "closed": "2", "silent": "3-10"}
    result = verdict(each, each, protocol="udp", arrived="1-3")
    assert (result.closed, result.filtered, result.inconclusive) == (parsed("2-3"), parsed("4-10"), NONE)
    doubtful = verdict(each, each, protocol="udp", arrived="1-3", control=Control())
    assert doubtful.inconclusive == parsed("4-10")


def test_a_receiver_that_missed_what_was_answered_is_not_believed() -> None:
    """It saw nothing of what was answered, so its silence says nothing either."""
    each = {"open": "1", "silent": "2-10"}
    assert verdict(each, each, protocol="udp", arrived="2").inconclusive == parsed("2-10")


@pytest.mark.parametrize(
    ("word", "arrived", "state"),
    [("open", "1", "open"), ("silent", "1", "closed"), ("silent", "", "filtered")],
)
def test_icmp_has_no_ports(word: str, arrived: str, state: str) -> None:
    """All are in one set."""
    each = {word: "1"}
    result = verdict(each, each, protocol="icmp", asked=parsed("1"), arrived=arrived)
    assert getattr(result, state) == ALL
    assert result.probed == ALL


def test_every_port_is_in_one_set() -> None:
    """Whatever was told, or not."""
    script: list[tuple[dict[str, str], ...]] = [
        ({}, {}),
        ({"open": "1", "silent": "1-4"}, {"local_EMFILE": "2-3"}),
        ({"closed": "1-5", "open": "5-6"}, {"silent": "1-10"}),
    ]
    for passes in script:
        result = verdict(*passes)
        sets = (result.open, result.closed, result.filtered, result.inconclusive)
        assert ports.union(*sets) == TEN
        assert sum(map(ports.size, sets)) == 10


def test_verdicts_on_different_ports_are_merged() -> None:
    """The first one's evidence stands."""
    first, second = verdict({"open": "1-10"}), verdict({"silent": "11"}, asked=parsed("11"))
    both = merge(first, second)
    assert (both.open, both.filtered, both.probes) == (TEN, parsed("11"), 11)
    assert both.evidence["open"] == 10


def test_a_database_needs_both_halves() -> None:
    """Somebody reaches it, and the source reaches something, on one side; neither alone is enough."""
    front = Pair("front", "cache")
    both = judged({front: "silent", Pair("back", "cache"): "open", Pair("front", "back"): "closed"})
    assert both[front].filtered == TEN
    assert "in halves: back reaches cache, front reaches back" in " ".join(both[front].doubts)
    for left_out in (Pair("back", "cache"), Pair("front", "back")):
        others = {Pair("back", "cache"): "open", Pair("front", "back"): "closed"}
        others[left_out] = "silent"
        assert judged({front: "silent", **others})[front].inconclusive == TEN


def test_a_droplet_is_not_shown_in_halves() -> None:
    """There the control port can show the path itself."""
    silent = Pair("front", "back")
    found = judged({silent: "silent", Pair("other", "back"): "open", Pair("front", "other"): "open"})
    assert found[silent].inconclusive == TEN


def test_the_control_port_is_judged_by_what_it_was_before() -> None:
    """It answers while it is open for the scan; its verdict is of before."""
    task = ProbeTask(PAIR, "192.0.2.1", tcp=ports.parse("1-10"))
    seven = ports.parse("7")
    main = tally({PAIR: {"silent": ports.subtract(TEN, seven), "closed": seven}})
    findings = Findings([task], main, tally({PAIR: {"silent": seven}}), shared_ports=seven, control=seven)
    (result,) = verdicts(findings, Tally(1), {}, ends(), {})
    assert (result.filtered, result.closed) == (TEN, NONE)
    assert result.evidence["control_port"] == 7


def test_what_cannot_be_asked_says_why() -> None:
    """A source that nobody could log in to."""
    task = ProbeTask(PAIR, "192.0.2.1", tcp=TEN)
    findings = Findings([task], Tally(2), Tally(2), shared_ports=NONE, control=NONE)
    (result,) = verdicts(findings, Tally(1), {}, ends(), {(PAIR, ""): "a was lost: no route"})
    assert result.inconclusive == TEN
    assert "a was lost: no route" in result.doubts[0]


def judged(answers: dict[Pair, str]) -> dict[Pair, ScanResult]:
    """Verdicts where every port of each pair got the same answer; ``cache`` is a database."""
    tasks = [ProbeTask(pair, "192.0.2.1", tcp=TEN) for pair in answers]
    main = tally({pair: {word: TEN} for pair, word in answers.items()})
    findings = Findings(tasks, main, Tally(2), shared_ports=NONE, control=NONE)
    return {result.pair: result for result in verdicts(findings, Tally(1), {}, ends(), {})}


def tally(answers: dict[Pair, dict[str, Ports]]) -> Tally:
    made = Tally(2)
    for pair, given in answers.items():
        for number in range(2):
            made.add(pair, "tcp", number, given)
    return made


def ends() -> Ends:
    connection = Connection("cache.example", 25061, "u", "p", "d", "uri")
    cache = DatabaseNode("cache", "id", "valkey", "online", connection, connection, "")
    return Ends({}, {"cache": cache}, {}, "")


def test_pace_says_how_long() -> None:
    """Bounded by what is in flight, or by the rate."""
    assert Pace(100, 10_000, 1.0).duration(1000) == pytest.approx(11.0)
    assert Pace(100_000, 1000, 1.0).duration(1000) == pytest.approx(2.0)


class Answers:
    """An API's client as far as the control needs it: lists that were written by hand."""

    def __init__(self, firewalls: list[dict[str, Any]], droplets: list[dict[str, Any]]) -> None:
        self.client = self
        self.firewalls = Listed("firewalls", firewalls)
        self.droplets = Listed("droplets", droplets)


class Listed:
    def __init__(self, key: str, items: list[dict[str, Any]]) -> None:
        self.key, self.items = key, items

    def list(self, **_: Any) -> dict[str, Any]:
        return {self.key: self.items, "links": {}}


def test_only_covered_droplets_get_the_control() -> None:
    """Covering an open one would close it; sources are all, for an open one sends as well."""
    nodes = {name: Node(name, number, "active", None, None) for number, name in enumerate("abc", start=1)}
    api: Any = Answers(
        [{"tags": ["t"], "droplet_ids": [1]}], [{"id": 2, "tags": ["t"]}, {"id": 3, "tags": ["other"]}]
    )
    (body,) = paced_control.bodies(api, "run", nodes, ["192.0.2.10/32"])
    assert body["droplet_ids"] == [1, 2]
    assert body["name"].startswith("wavetank-run--")
    (rule,) = body["inbound_rules"]
    assert rule["ports"] == "7"
    assert rule["sources"] == {"droplet_ids": [1, 2, 3], "addresses": ["192.0.2.10/32"]}
    nobody: Any = Answers([], [])
    assert paced_control.bodies(nobody, "run", nodes, []) == []


@pytest.fixture
def conversation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A conversation with a script written on the spot, on this machine."""
    monkeypatch.setattr(remote_scripts, "SCRIPTS", tmp_path)
    made: list[RemoteScript] = []

    def begin(script: str) -> RemoteScript:
        (tmp_path / "script.py").write_text(script)
        made.append(
            RemoteScript(here(), "script.py", {"n": 1}, where="x", deadline=60, stop=threading.Event())
        )
        return made[-1]

    yield begin
    for each in made:
        each.close()


def test_a_script_gets_its_job_and_is_heard(conversation: Any) -> None:
    """Line by line, to its end."""
    script = "import sys, json\njob = json.loads(sys.stdin.readline())\nprint(json.dumps([job['n'], 2]))"
    assert list(conversation(script).lines()) == [[1, 2]]


def test_a_script_that_fails_says_so(conversation: Any) -> None:
    """What it heard before is kept; the error has what it said."""
    lines = conversation("import sys\nprint('{}', flush=True)\nsys.exit('no luck')").lines()
    assert next(lines) == {}
    with pytest.raises(CommandError, match="no luck"):
        next(lines)


def test_the_probe_asks_a_machine_every_port_twice() -> None:
    """On loopback, where nothing is filtered: listeners are open, all else closed, none missed."""
    import socket

    held = [socket.create_server(("127.0.0.77", 0)) for _ in range(3)]
    try:
        numbers = sorted(each.getsockname()[1] for each in held)
        asked = [[1, 2000], [numbers[0], numbers[0]], [numbers[1], numbers[1]], [numbers[2], numbers[2]]]
        target = {"ip": "127.0.0.77", "tcp": asked, "udp": [[1, 50]], "icmp": False, "payload": "00" * 24}
        job = {"targets": [target], "passes": 2, "in_flight": 500, "rate": 100_000, "seconds": 5, "seed": ""}
        found = Tally(2)
        stop = threading.Event()
        with RemoteScript(here(), "probe.py", job, where="x", deadline=60, stop=stop) as script:
            lines = list(script.lines())
        for line in lines:
            if "outcomes" in line:
                found.add(PAIR, line["protocol"], line["pass"], line["outcomes"])
    finally:
        for each in held:
            each.close()
    assert lines[-1]["done"] is True
    for words_ in found.of(PAIR, "tcp"):
        assert ports.intersect(words_["open"], ports.union(*(((n, n),) for n in numbers))) == words_["open"]
        assert ports.size(words_["open"]) == 3
        assert sorted(words_) == ["closed", "open"], json.dumps(sorted(words_))
    assert found.of(PAIR, "udp") == ({"closed": ((1, 50),)},) * 2
