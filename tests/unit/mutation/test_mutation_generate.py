"""Mutants: everything that could be wrong with a protection, each once, and what each would change."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mutation_rig import NETWORK, SSH, STATE, WEB, guarded_by, looked_at, tagged, tags, trusting

from harness.firewall.from_api import read
from harness.firewall.model import ALL_PORTS, Pair, Rule
from harness.mutation.effect import baseline, effect
from harness.mutation.generate import mutants
from harness.mutation.kinds import HOLES, Kind
from harness.mutation.model import Mutant
from harness.target.api import Api

MADE = mutants(NETWORK)


def named(kind: Kind, words: str, made: tuple[Mutant, ...] = MADE) -> Mutant:
    """The one mutant of a kind with these words in its name."""
    (found,) = (each for each in made if each.kind == kind and words in each.name)
    return found


def rules(mutant: Mutant, name: str) -> tuple[Rule, ...]:
    """The rules of one firewall in a mutant."""
    (found,) = (each.rules for each in mutant.state.firewalls if each.name.endswith(name))
    return found


def test_each_mutant_is_another_state() -> None:
    """None is the original, none is there twice, and no name is."""
    assert STATE not in {each.state for each in MADE}
    assert len({each.state for each in MADE}) == len({str(each) for each in MADE}) == len(MADE)


def test_every_kind_is_made() -> None:
    """The small plan has something to break in every way."""
    made = (*MADE, *mutants(trusting(*tagged("api", "web"))))
    assert {each.kind for each in made} == set(HOLES)


def test_a_range_is_widened_below_and_above() -> None:
    """By one port; what already begins or ends where ports do is not."""
    below, above = (named("port-added", f"web, out tcp 8000-8001 to api: {each}") for each in (7999, 8002))
    assert [rules(each, "web")[1].ports for each in (below, above)] == ["7999-8001", "8000-8002"]
    edges = (
        Rule("inbound", "tcp", "1-65535", tagged("api")),
        Rule("inbound", "icmp", ALL_PORTS, tagged("api")),
    )
    whole = guarded_by(replace(WEB, rules=edges))
    assert not any(each.kind == "port-added" for each in mutants(whole))


def test_rules_are_widened_by_those_they_do_not_name() -> None:
    """A droplet, the stranger and an internet address; a rule for everybody by nobody."""
    names = [each.name for each in MADE if each.kind == "peer-added"]
    assert [each for each in names if each.startswith("ssh,")] == [
        "ssh, in tcp 22 from login: api too",
        "ssh, in tcp 22 from login: stranger (10.0.0.99/32) too",
        "ssh, in tcp 22 from login: an internet address (192.0.2.10/32) too",
    ]
    assert not any("from internet" in each for each in names)


def test_the_last_rule_goes_with_its_droplets() -> None:
    """The API takes no firewall without rules; the droplets must be covered by another, or it is not made."""
    assert named("rule-removed", "ssh, in").state.firewalls[1] == replace(SSH, tags=())
    assert not any(each.kind.startswith("rule-") for each in mutants(guarded_by(SSH)))


def test_a_moved_rule_is_gone_here_and_there_for_another() -> None:
    """It lands on the firewall of a droplet that it was not for."""
    moved = named("rule-moved", "web, in tcp 80 from internet: to api")
    assert WEB.rules[0] not in rules(moved, "web")
    assert WEB.rules[0] in rules(moved, "api")


def test_detaching_leaves_the_others_covered() -> None:
    """One droplet is taken off one firewall, or off all of its own."""
    one, every = named("detached", "api from ssh"), named("detached", "api from all")
    assert NETWORK.under(every.state).covering("api") == ()
    assert [each.tags for each in one.state.firewalls] == [tags("api"), tags("web"), tags("web")]


def test_trust_is_taken_given_and_dropped() -> None:
    """The only source taken away is the same as trusting everybody, and is made once."""
    assert [str(each) for each in MADE if each.kind.startswith("trust-")] == [
        "trust-dropped: main: trusts everybody",
        "trust-added: main: login too",
        "trust-added: main: web too",
        "trust-added: main: stranger (10.0.0.99/32) too",
        "trust-added: main: an internet address (192.0.2.10/32) too",
    ]
    two = mutants(trusting(*tagged("api", "web")))
    assert sum(each.kind == "trust-removed" for each in two) == 2


def test_effects_are_visible_hidden_or_none() -> None:
    """A hole is seen at once, or behind a shut gate by opening that; or it is none."""
    base = baseline(NETWORK)
    seen = effect(base, named("port-added", "web, in tcp 80 from internet: 81"))
    assert (Pair("internet", "web", "public"), "tcp") in seen.affected
    assert (seen.opened_ends, seen.equivalent) == ((), "")
    hidden = effect(base, named("port-added", "api, in tcp 8000-8001 from web: 8002"))
    assert hidden.opened_ends == ("web",)
    assert set(hidden.affected) == {(Pair("web", "api", side), "tcp") for side in ("private", "public")}
    nothing = effect(base, named("peer-added", "api, out tcp 25060 to vpc: stranger"))
    assert "all rules together admit the same" in nothing.equivalent
    assert nothing.affected == {}


def test_what_stands_in_is_named() -> None:
    """An equivalent mutant says which rule makes it one."""
    twice = replace(SSH, id="t", name="wavetank-a--twin")
    base = baseline(guarded_by(*STATE.firewalls, twice))
    made = named("rule-removed", "ssh, in", mutants(base.network))
    assert effect(base, made).equivalent.endswith("twin has in tcp 22 from login as well")


@pytest.mark.parametrize("kind", HOLES)
def test_standard_plan_has_mutants_of_every_kind(api: Api, kind: Kind) -> None:
    """And each changes something that packets can show, but for a handful that change nothing."""
    base = baseline(looked_at(read(api, "a")))
    effects = [effect(base, each) for each in mutants(base.network) if each.kind == kind]
    assert effects
    assert all(each.affected for each in effects if not each.equivalent)
    assert sum(bool(each.equivalent) for each in effects) == (3 if kind == "peer-added" else 0)
