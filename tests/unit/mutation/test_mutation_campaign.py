"""The loop: what kills, what does not, what is left afterwards, and that the score can fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from mutation_rig import RUN, Played, looked_at

from harness.core.errors import ApiError, UsageError
from harness.core.ports import Ports
from harness.firewall.from_api import read
from harness.firewall.model import Pair
from harness.isolation.model import Difference, Observation
from harness.mutation import apply, journal, judge
from harness.mutation.campaign import Campaign, carry_out
from harness.mutation.effect import Affected, baseline
from harness.mutation.generate import mutants
from harness.mutation.judge import EvidenceSources
from harness.mutation.kinds import HOLES
from harness.mutation.model import Mutant, Verdict
from harness.mutation.section import exit_code, section, summary
from harness.mutation.selection import Selection, select
from harness.run.rundir import RunDir
from harness.target.api import Api
from harness.topology.model import Protocol


@pytest.fixture
def played(api: Api) -> Played:
    """Evidence sources that report the truth."""
    return Played(api, RUN)


def campaign(played: Played, run_dir: RunDir, evidence_sources: EvidenceSources | None = None) -> Campaign:
    """A campaign on the standard plan."""
    base = baseline(looked_at(read(played.api, RUN)))
    given = evidence_sources or played.evidence_sources()
    return Campaign(played.api, run_dir, base, given, lambda *_: True, whole=True)


def one_of_each(made: Campaign) -> list[Mutant]:
    """The first mutant of each kind."""
    every = mutants(made.base.network)
    return [each for kind in HOLES for each in [one for one in every if one.kind == kind][:1]]


def carried_out(made: Campaign, chosen: Sequence[Mutant]) -> list[Verdict]:
    """The verdicts; and the firewalls are what they were, without a journal."""
    verdicts: list[Verdict] = []
    try:
        carry_out(made, chosen, verdicts, lambda _done, _all: None)
    finally:
        assert read(made.api, RUN).state == made.base.network.state
        assert journal.read(made.run_dir) is None
    return verdicts


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for packets to show what they never will."""
    monkeypatch.setattr("harness.mutation.campaign.TRUST_DEADLINE", 0.0)


def test_the_truth_kills_every_mutant(played: Played, run_dir: RunDir) -> None:
    """Each kind, hidden ones too; the report counts them, and the exit code is 0."""
    made = campaign(played, run_dir)
    every = mutants(made.base.network)[::7]
    verdicts = carried_out(made, every)
    told = section(verdicts, 1.0)
    assert {each.outcome for each in verdicts} == {"killed", "equivalent"}
    assert (told["score"], told["survivors"], told["inconclusive"]) == (1.0, [], [])
    assert told["mutants"] + len(told["equivalent"]) == len(every)
    assert 0 < told["hidden"] < told["killed"]
    assert exit_code(told) == 0


@pytest.mark.usefixtures("impatient")
def test_the_blind_let_every_mutant_live(played: Played, run_dir: RunDir) -> None:
    """The score falls to nothing, and each survivor says what would have shown it."""
    played.blind = True
    made = campaign(played, run_dir)
    told = section(carried_out(made, one_of_each(made)), 1.0)
    assert (told["score"], told["killed"], exit_code(told)) == (0.0, 0, 1)
    assert len(told["survivors"]) == told["mutants"] == len(HOLES)
    assert all("would have shown it" in each for each in told["survivors"])
    assert told["survivors"][0] in summary(told)


@pytest.mark.usefixtures("impatient")
def test_doubt_kills_nothing(played: Played, run_dir: RunDir) -> None:
    """An observation that stands for nothing is no kill, and no survivor either."""
    played.doubtful = True
    made = campaign(played, run_dir)
    told = section(carried_out(made, one_of_each(made)), 1.0)
    assert (told["killed"], told["survivors"], exit_code(told)) == (0, [], 2)
    assert all("fog" in each for each in told["inconclusive"])


@pytest.mark.usefixtures("impatient")
def test_rules_alone_notice_but_do_not_kill(played: Played, run_dir: RunDir) -> None:
    """What only the API's documents give away is counted apart."""
    played.blind = True
    rules = replace(played.evidence_sources(), drift=lambda: ("firewall x differs",))
    made = campaign(played, run_dir, rules)
    told = section(carried_out(made, one_of_each(made)), 1.0)
    assert (told["score"], told["score_with_rules"], told["noticed"]) == (0.0, 1.0, told["mutants"])
    assert (told["survivors"], exit_code(told)) == ([], 1)
    assert told["results"][0]["killed_by"] == ["drift: firewall x differs"]


@pytest.mark.usefixtures("impatient")
def test_what_the_mutant_does_not_change_is_no_kill(played: Played, run_dir: RunDir) -> None:
    """A difference elsewhere was there before, or is somebody else's."""
    elsewhere = Difference(
        Pair("worker-1", "worker-2"), "tcp", ((9, 9),), "denied", "", "admitted", "", "", "", "always", ""
    )

    def differences(observation: Observation | None) -> Sequence[Difference]:
        return [elsewhere] if observation else []

    made = campaign(played, run_dir, replace(played.evidence_sources(), differences=differences))
    told = section(carried_out(made, [each for each in one_of_each(made) if "lb" in each.name][:3]), 1.0)
    assert (told["killed"], told["mutants"] > 0) == (0, True)


def test_witnesses_that_fail_leave_the_mutant_in_doubt(played: Played, run_dir: RunDir) -> None:
    """The next one is tried all the same."""

    def observe(pairs: Sequence[Pair], asked: object) -> Observation:
        raise ApiError("POST /scans", 500, "server_error", "no scanner")

    made = campaign(played, run_dir, replace(played.evidence_sources(), observe=observe))
    verdicts = carried_out(made, one_of_each(made)[:3])
    assert [each.outcome for each in verdicts] == ["inconclusive"] * 3
    assert "no scanner" in verdicts[0].why


@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError, SystemExit])
def test_whatever_ends_it_everything_is_put_back(
    played: Played, run_dir: RunDir, error: type[BaseException]
) -> None:
    """Ctrl-C, a fault of ours, anything: what was done so far is kept, and nothing stays changed."""
    looks = iter([None, None, error])

    def observe(pairs: Sequence[Pair], asked: Mapping[Protocol, Ports]) -> Observation:
        if (raised := next(looks)) is not None:
            raise raised
        return played.observe(pairs, asked)

    made = campaign(played, run_dir, replace(played.evidence_sources(), observe=observe))
    verdicts: list[Verdict] = []
    with pytest.raises(error):
        carry_out(made, one_of_each(made), verdicts, lambda _done, _all: None)
    assert [each.outcome for each in verdicts] == ["killed", "killed"]
    assert read(made.api, RUN).state == made.base.network.state
    assert journal.read(run_dir) is None


def test_a_journal_stays_where_nothing_could_be_put_back(
    played: Played, run_dir: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends at once, and the next call finds what was."""

    def refuse(*_: object, **__: object) -> None:
        raise apply.NotRestoredError(RUN, "firewall x")

    made = campaign(played, run_dir)
    monkeypatch.setattr(apply, "restore", refuse)
    with pytest.raises(apply.NotRestoredError):
        carry_out(made, one_of_each(made), [], lambda _done, _all: None)
    assert journal.read(run_dir) == made.base.network.state


def test_selection(api: Api) -> None:
    """By kind, by words, by lot: the same lot for the same seed, and another for another."""
    every = mutants(looked_at(read(api, RUN)))
    kinds = select(every, Selection(kinds=("detached", "trust-added")))
    assert {each.kind for each in kinds} == {"detached", "trust-added"}
    assert all("postgres" in each.name for each in select(every, Selection(keyword="Postgres")))
    lots = [select(every, Selection(sample=5, seed=seed)) for seed in (1, 1, 2)]
    assert lots[0] == lots[1] != lots[2]
    assert len(lots[0]) == 5
    assert select(every, Selection(sample=10**6)) == every
    with pytest.raises(UsageError, match="no mutant matches"):
        select(every, Selection(keyword="nonsense"))


def test_nothing_tried_is_inconclusive() -> None:
    """A score of nothing is no pass."""
    assert exit_code(section([], 0.0)) == 2


def test_pairs_that_should_turn_red_come_first() -> None:
    """Then others; from several sources rather than one, and not more than a few."""
    affected: Affected = {
        (Pair(source, f"t{number}"), "tcp"): ((1, 1),) for source in "ab" for number in range(9)
    }
    chosen = judge.choose(affected, lambda pair, *_: pair.source == "b")
    assert [each.source for each in chosen] == ["b"] * 6
    mixed = judge.choose(affected, lambda *_: True)
    assert [each.source for each in mixed] == ["a", "b"] * 3


def test_ports_asked_hold_what_is_affected_and_its_neighbours() -> None:
    """All of TCP where that is cheap; else, and for UDP, the ends of each range and what lies beside it."""
    pair = Pair("a", "b")
    affected: Affected = {
        (pair, "tcp"): ((80, 80),),
        (pair, "udp"): ((1, 65535),),
        (pair, "icmp"): ((1, 65535),),
    }
    narrow = judge.asked(affected, [pair], whole=False)
    assert narrow["tcp"] == ((79, 81),)
    assert narrow["udp"] == ((1, 9), (65527, 65535))
    assert narrow["icmp"]
    assert judge.asked(affected, [pair], whole=True)["tcp"] == ((1, 65535),)
    assert judge.asked({}, [pair], whole=True) == {"tcp": (), "udp": (), "icmp": ()}
