"""Mutants go in force exactly, and what was is put back exactly, whatever happens."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import pytest
from mutation_rig import RUN, looked_at

from harness.core.errors import ApiError, WavetankError
from harness.core.signals import deferred
from harness.firewall.from_api import read
from harness.firewall.model import FirewallState, Network
from harness.mutation import apply, journal
from harness.mutation.campaign import restore
from harness.mutation.generate import mutants
from harness.mutation.model import Mutant
from harness.run.rundir import RunDir
from harness.target.api import Api


def first(network: Network, kind: str) -> Mutant:
    """Some mutant of a kind."""
    return next(each for each in mutants(looked_at(network)) if each.kind == kind)


def test_a_mutant_is_in_force_and_taken_back(api: Api) -> None:
    """What the API then tells is the mutant, rule by rule; afterwards the original, rule by rule."""
    network = read(api, RUN)
    for mutant in mutants(looked_at(network))[::5]:
        apply.put(api, network, mutant.state)
        assert read(api, RUN).state.differences(mutant.state) == (), mutant
        assert mutant.state.differences(network.state), mutant
        apply.put(api, network.under(mutant.state), network.state)
        assert read(api, RUN) == network, mutant


@pytest.mark.parametrize("kind", ["detached", "trust-dropped", "rule-moved"])
def test_restoring_needs_not_know_what_was_changed(api: Api, kind: str) -> None:
    """It looks for itself."""
    network = read(api, RUN)
    apply.put(api, network, first(network, kind).state)
    apply.restore(api, network.state, RUN)
    assert read(api, RUN).state == network.state


def test_an_api_that_fails_for_a_while_is_asked_again(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Restoring goes on until it is done."""
    network = read(api, RUN)
    apply.put(api, network, first(network, "rule-removed").state)
    failing = failing_first(api.client.firewalls.update, 3)
    monkeypatch.setattr(api.client.firewalls, "update", failing)
    apply.restore(api, network.state, RUN)
    assert read(api, RUN).state == network.state


def test_what_cannot_be_put_back_is_said(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly what is still different, and the command that repairs it."""
    network = read(api, RUN)
    mutant = next(each for each in mutants(looked_at(network)) if "internal-lb" in each.name)
    apply.put(api, network, mutant.state)
    monkeypatch.setattr(api.client.firewalls, "update", failing_first(api.client.firewalls.update, 10**6))
    with pytest.raises(apply.NotRestoredError) as caught:
        apply.restore(api, network.state, RUN, deadline=0.1)
    assert "still different: firewall wavetank-a--internal-lb\n" in str(caught.value)
    assert "`wavetank up --run a`" in str(caught.value)
    assert "500" in str(caught.value)


def test_a_firewall_that_is_gone_is_said_to_be_missing(api: Api) -> None:
    """There is nothing to put back into."""
    original = read(api, RUN).state
    api.client.firewalls.delete(original.firewalls[0].id)
    with pytest.raises(apply.NotRestoredError, match=original.firewalls[0].name):
        apply.restore(api, original, RUN, deadline=0.1)


def test_the_journal_holds_everything(api: Api, run_dir: RunDir) -> None:
    """What is read is what was written, and nothing is there before and after."""
    original = read(api, RUN).state
    assert journal.read(run_dir) is None
    journal.write(run_dir, original)
    assert journal.read(run_dir) == original
    journal.forget(run_dir)
    journal.forget(run_dir)
    assert journal.read(run_dir) is None


def test_a_broken_journal_says_what_to_do(run_dir: RunDir) -> None:
    """Half a file, or another's."""
    for text in ("{", "{}", "[]"):
        journal.path(run_dir).write_text(text)
        with pytest.raises(WavetankError, match="wavetank up --run a"):
            journal.read(run_dir)


def test_mending_puts_back_and_forgets(api: Api, run_dir: RunDir) -> None:
    """Once; without a journal there is nothing to do."""
    network = read(api, RUN)
    assert not restore(api, run_dir)
    journal.write(run_dir, network.state)
    apply.put(api, network, first(network, "inbound-opened").state)
    assert restore(api, run_dir)
    assert read(api, RUN).state == network.state
    assert not restore(api, run_dir)


def test_order_of_listing_is_no_difference(api: Api) -> None:
    """A cloud may tell the same in another order."""
    original = read(api, RUN).state
    firewalls = tuple(reversed(original.firewalls))
    assert FirewallState(firewalls, original.trusted).differences(original) == ()


def test_signals_wait_until_the_block_is_done() -> None:
    """Then the first one counts."""
    done: list[str] = []
    before = signal.signal(signal.SIGTERM, lambda *_: done.append("stopped"))
    try:
        with deferred():
            signal.raise_signal(signal.SIGTERM)
            done.append("put back")
    finally:
        signal.signal(signal.SIGTERM, before)
    assert done == ["put back", "stopped"]


def failing_first(call: Callable[..., Any], times: int) -> Callable[..., Any]:
    """The same call, refused at first."""
    left = [times]

    def tried(*given: Any, **named: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise ApiError("PUT /v2/firewalls", 500, "server_error", "try again")
        return call(*given, **named)

    return tried
