"""The report's ``isolation``: what was probed, what differs, and the whole matrix. Shapes: docs/report.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.core import ports
from harness.core.ports import Ports
from harness.firewall.evaluate import admitted
from harness.firewall.model import Network
from harness.isolation import intended
from harness.isolation.model import Difference, Observation, ScanResult
from harness.topology.model import Topology


def section(
    topology: Topology,
    network: Network,
    observation: Observation,
    differences: Iterable[Difference],
    tampered: Iterable[object] = (),
) -> dict[str, Any]:
    """The ``isolation`` of a report. ``ports_per_pair`` counts TCP ports, ``seconds`` is wall time."""
    results = observation.results
    return {
        "pairs": len({each.pair for each in results}),
        "ports_per_pair": max(
            (ports.size(each.probed) for each in results if each.protocol == "tcp"), default=0
        ),
        "probes": observation.probes,
        "passes": observation.passes,
        "witnesses": list(observation.evidence_sources),
        "seconds": round(observation.seconds, 3),
        "partial": observation.partial,
        "tampering": [str(each) for each in tampered],
        "violations": [violation(each) for each in differences],
        "inconclusive": [_doubt(each) for each in results if each.inconclusive],
        "matrix": [_cell(topology, network, each) for each in results],
    }


def violation(each: Difference) -> dict[str, Any]:
    """One difference as the report shows it."""
    return {
        **_ends(each),
        "ports": text(each.ports),
        "intended": each.intended,
        "computed": each.computed,
        "observed": each.observed,
        "gate": each.gate,
        "firewall": each.firewall,
        "rule": each.rule,
        "reason": each.reason,
        "reproduce": each.reproduce,
    }


def _doubt(result: ScanResult) -> dict[str, str]:
    return {**_ends(result), "ports": text(result.inconclusive), "reason": "; ".join(result.doubts)}


def _cell(topology: Topology, network: Network, result: ScanResult) -> dict[str, str]:
    """One pair's row. Ports that were not probed are left out of what is intended, too."""
    probed = result.probed
    sets = {
        "open": result.open,
        "closed": result.closed,
        "filtered": result.filtered,
        "inconclusive": result.inconclusive,
        "must": ports.intersect(intended.must(topology, result.pair, result.protocol), probed),
        "may": ports.intersect(intended.may(topology, result.pair, result.protocol), probed),
        "computed": ports.intersect(admitted(network, result.pair, result.protocol), probed),
    }
    return {**_ends(result), **{name: text(each) for name, each in sets.items()}}


def _ends(each: ScanResult | Difference) -> dict[str, str]:
    pair = each.pair
    return {"source": pair.source, "target": pair.target, "side": pair.side, "protocol": each.protocol}


def text(which: Ports) -> str:
    """A set of ports as the report writes it: ``22,8000-9000``, ``all``, or nothing."""
    return ports.render(which) if which else ""
