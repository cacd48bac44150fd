"""Whose health is awaited before whose: a service is asked once those that it connects to are healthy.

A load balancer that is asked earlier tries its servers, finds none, and leaves them alone for a while
(nginx: ``fail_timeout``, 10 s if not set; https://nginx.org/en/docs/http/ngx_http_upstream_module.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.core import ports
from harness.deploy.bundle import Bundle
from harness.topology.model import Topology

Needs = Mapping[str, frozenset[str]]


def needs(topology: Topology, bundles: Iterable[Bundle]) -> Needs:
    """By each bundle's label the labels of those that the intent lets it connect to.

    Of services that need each other, the last one is asked without waiting for those before it.
    """
    every = list(bundles)
    found: dict[str, frozenset[str]] = {}
    for bundle in every:
        wanted = {other.label for other in every if _connects(topology, bundle, other)}
        found[bundle.label] = frozenset(
            label for label in wanted if bundle.label not in _closure(found, label)
        )
    return found


def first_the_needed(bundles: Sequence[Bundle], known: Needs) -> list[Bundle]:
    """The bundles in an order in which each comes after all that it needs."""
    return sorted(bundles, key=lambda each: len(_closure(known, each.label)))


def _connects(topology: Topology, bundle: Bundle, other: Bundle) -> bool:
    return any(
        (flow.source, flow.destination, flow.protocol) == (bundle.node, other.node, "tcp")
        and ports.intersect(ports.parse(flow.ports), tuple((port, port) for port in other.service.ports))
        for flow in topology.intent
    )


def _closure(known: Needs, label: str) -> set[str]:
    """A label, and all that it needs, directly or not."""
    found, pending = {label}, [label]
    while pending:
        new = known.get(pending.pop(), frozenset()) - found
        found |= new
        pending += new
    return found
