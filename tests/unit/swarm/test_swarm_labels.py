"""Which labels a node is to have, and how it comes by them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from swarm_samples import NAMES, plan, service

from harness.swarm import labels

KEYS = st.sampled_from(["role", "web", "api", "old", "rack", labels.OURS_LABEL])
SERVICES = st.lists(
    st.builds(
        lambda name, nodes: service(name, *nodes),
        st.sampled_from(["web", "api", "old"]),
        st.lists(st.sampled_from(NAMES), unique=True, min_size=1),
    ),
    unique_by=lambda each: each.name,
)


def apply(have: dict[str, str], change: labels.Change) -> dict[str, str]:
    """What Docker makes of it."""
    return {key: value for key, value in have.items() if key not in change.remove} | dict(change.add)


@given(SERVICES, st.dictionaries(KEYS, st.sampled_from(["", "true", "hand", "web old", "role"])))
def test_change_brings_what_is_wanted_and_a_second_has_nothing_to_do(
    services: list[object], have: dict[str, str]
) -> None:
    """From whatever there is."""
    topology = plan(*services)  # type: ignore[arg-type]
    after = apply(have, labels.change(topology, "one", have))
    assert labels.wanted(topology, "one").items() <= after.items()
    assert not labels.change(topology, "one", after)


@given(SERVICES, st.dictionaries(st.sampled_from(["rack", "zone"]), st.text("ab", max_size=2)))
def test_labels_of_others_stay(services: list[object], foreign: dict[str, str]) -> None:
    """Over one plan and the next."""
    have = foreign
    for topology in (plan(*services), plan(service("new", "one")), plan()):  # type: ignore[arg-type]
        have = apply(have, labels.change(topology, "one", have))
    assert foreign.items() <= have.items()
    assert have == foreign | labels.wanted(plan(), "one")


def test_every_service_that_may_run_there_has_its_label() -> None:
    """And the droplet's role has one."""
    topology = plan(service("web", "one", "two"), service("api", "two"))
    assert labels.wanted(topology, "one") == {"role": "hand", "web": "true", labels.OURS_LABEL: "role web"}
    assert labels.wanted(topology, "boss") == {"role": "boss", labels.OURS_LABEL: "role"}


def test_label_of_a_service_that_is_gone_goes() -> None:
    """Only the node remembers that it was ours."""
    have = {"role": "hand", "gone": "true", "rack": "7", labels.OURS_LABEL: "gone role"}
    change = labels.change(plan(), "one", have)
    assert change.remove == ("gone",)
    assert str(change) == "labels no more gone"
    assert change.options() == f"--label-add {labels.OURS_LABEL}=role --label-rm gone"
