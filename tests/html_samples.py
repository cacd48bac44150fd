"""Reports as a run of the standard topology writes them, for the tests of the page: good, bad, doubtful, old.

``python tests/html_samples.py DIRECTORY`` writes them and their pages there, to be looked at.
"""

from __future__ import annotations

import copy
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import load_samples

from harness import html
from harness.core import ports
from harness.core.ports import ALL, NONE, Ports
from harness.faults.measure import quantiles
from harness.provision.machine_images import Machine, section
from harness.run import report
from harness.topology import load
from harness.topology.model import DATABASE_PORTS, PROTOCOLS, Topology

Report = dict[str, Any]

EMULATED = Machine("Debian GNU/Linux 13 (trixie)", "6.18.44", "v1", "257", "26.1.5+dfsg1", "2.26.1-4")

FILE = Path(__file__).parent.parent / "topologies" / "standard.yaml"
HOSTILE = "</script><script>alert(\"1\")</script><img src=x onerror=alert(2)> & 'quoted'"
UDP = ports.parse("53,2377,4789,7946,20001-20016")
SECONDS = {"tcp": 31.4, "udp": 2.2, "icmp": 0.7}


def passing() -> Report:
    """All 166 pairs as intended, every mutant killed."""
    topology = load(FILE)
    made = _frame(topology)
    made["machines"] = section(topology, dict.fromkeys(topology.droplets, EMULATED))
    made["isolation"] = _isolation(topology, made)
    made["mutation"] = _mutation()
    made["failover"] = _failover()
    made["checks"] = list(_checks(topology))
    made["verdict"] = "pass"
    return made


def failing() -> Report:
    """Worker 1 lost its firewall, a server is blocked, a database trusts the client, a mutant survived."""
    made = passing()
    everything = [name for name in _sources(made) if name != "worker-1"]
    for name in everything:
        told = _leak(name, "worker-1", "1-65535", "all", firewall="", rule="")
        told["reason"] = (
            "worker-1 is covered by no firewall, so everything reaches it; the topology has internal-worker"
        )
        _violate(made, told)
    _violate(made, _leak("client", "postgres", "25060", "25060", firewall="trusted sources", rule="client"))
    _violate(made, _blocked("judge0-lb", "server-2", "2358"))
    made["checks"][40] |= {
        "outcome": "failed",
        "reason": "9 of 166 pairs let through what nobody meant to pass",
    }
    made["checks"][52] |= {"outcome": "failed", "reason": "Traceback:\n" + "  a long line of evidence\n" * 60}
    made["checks"][53] |= {"outcome": "inconclusive", "reason": "no answer within 5 s, twice"}
    made["mutation"] |= {
        "killed": 61,
        "score": 61 / 62,
        "survivors": ["internal-lb: inbound tcp 2358 widened to 2359"],
    }
    made["mutation"]["results"][7]["killed_by"] = []
    _lose(made["failover"][1])
    made["verdict"] = "fail"
    return made


def inconclusive() -> Report:
    """The scan ended half-way, and on one pair the witnesses disagree."""
    made = passing()
    isolation = made["isolation"]
    isolation["partial"] = "worker-2 was powered off after 61 of 166 pairs"
    isolation["matrix"] = [row for row in isolation["matrix"] if row["source"] != "worker-2"]
    row = _row(made, "runner", "mongo", "tcp")
    row |= {"inconclusive": "27017", "open": ""}
    reason = "27017 were answered, but the fabric saw nothing arrive"
    ends = {name: row[name] for name in ("source", "target", "side", "protocol")}
    isolation["inconclusive"] = [{**ends, "ports": "27017", "reason": reason}]
    made["checks"][40] |= {"outcome": "inconclusive", "reason": reason}
    made["verdict"] = "inconclusive"
    return made


def old() -> Report:
    """A report of before isolation was scanned: none of the newer parts."""
    made = passing()
    return {key: made[key] for key in report.start("x", "local", "x")}


def broken() -> Report:
    """A run that could not be stood up: nothing but the error."""
    made = report.start("standard-7f3a", "local", "standard")
    return made | {"verdict": "fail", "error": "droplet 'client': not active after 60 s (last seen: new)"}


def loaded() -> Report:
    """A report of experiments under load alone: one of each."""
    made = _frame(load(FILE))
    return made | {"load": load_samples.documents()}


def hostile() -> Report:
    """Markup in every text that comes from outside."""
    made: Report = _everywhere(failing() | {"load": load_samples.documents()})
    made["error"] = HOSTILE
    return made


SAMPLES: Mapping[str, Callable[[], Report]] = {
    each.__name__: each for each in (passing, failing, inconclusive, old, broken, loaded, hostile)
}


def _frame(topology: Topology) -> Report:
    droplets = [
        {
            "name": name,
            "id": 1000 + number,
            "addresses": {"public": f"203.0.113.{10 + number}", "private": f"10.110.0.{2 + number}"},
            "status": "active",
        }
        for number, name in enumerate(topology.droplets)
    ]
    databases = [
        {
            "name": name,
            "id": f"00000000-0000-4000-8000-00000000000{number}",
            "engine": each.engine,
            "addresses": {
                side: f"{side}-{name}.db.example.com:{DATABASE_PORTS[each.engine]}"
                for side in ("public", "private")
            },
            "status": "online",
        }
        for number, (name, each) in enumerate(topology.databases.items())
    ]
    timings = {
        "prepare": 0.61, "emulator_start": 0.44, "provision": 9.52, "access": 0.03, "deploy": 17.8,
        "lock_down": 0.35, "first_submission": 1.92, "verify": 58.3, "down": 6.1, "emulator_stop": 0.8,
        "total": 96.2,
        **{f"deploy: {name}": 2.0 + number for number, name in enumerate(topology.droplets)},
    }  # fmt: skip
    return {
        **report.start("standard-7f3a", "local", topology.name),
        "droplets": droplets,
        "databases": databases,
        "timings": timings,
        "intent": report.intent(topology),
        "started": "2026-11-24T21:04:11+00:00",
        "finished": "2026-11-24T21:05:47+00:00",
        "environment": {
            "kernel": "6.18.5", "cores": 2, "memory_mb": 24000, "engine": "20.10.24", "plane": "docker",
            "capabilities": {"ipvs": False, "esp": False, "netem": False, "cgroup_v2": True},
            "wavetank": "0.1.0", "python": "3.11.2",
        },
    }  # fmt: skip


def _sources(made: Report) -> list[str]:
    return ["internet", "stranger", *(each["name"] for each in made["droplets"])]


def _isolation(topology: Topology, made: Report) -> dict[str, Any]:
    targets = [*topology.droplets, *topology.databases]
    matrix = [
        _cell(made, source, target, side, protocol)
        for source in _sources(made)
        for target in targets
        for side in ("private", "public")
        for protocol in PROTOCOLS
        if source != target
    ]
    return {
        "pairs": len(matrix) // 3, "ports_per_pair": 65535, "probes": 21_763_942, "passes": 2,
        "witnesses": ["prober", "fabric"], "seconds": 38.274, "partial": "",
        "violations": [], "inconclusive": [], "matrix": matrix,
    }  # fmt: skip


def _cell(made: Report, source: str, target: str, side: str, protocol: str) -> dict[str, str]:
    asked: Ports = UDP if protocol == "udp" else ALL
    meant = ports.union(
        *(
            ports.parse(flow["ports"])
            for flow in made["intent"]
            if (flow["source"], flow["destination"], flow["protocol"]) == (source, target, protocol)
        )
    )
    meant = meant if (side == "private") == (source != "internet") else NONE
    cell = _texts(open=meant, closed=NONE, filtered=ports.subtract(asked, meant), inconclusive=NONE)
    cell |= _texts(must=meant, may=meant, computed=meant)
    return {"source": source, "target": target, "side": side, "protocol": protocol, **cell}


def _texts(**sets: Ports) -> dict[str, str]:
    return {name: ports.render(each) if each else "" for name, each in sets.items()}


def _row(made: Report, source: str, target: str, protocol: str, side: str = "private") -> dict[str, str]:
    ends = {"source": source, "target": target, "protocol": protocol, "side": side}
    return next(row for row in made["isolation"]["matrix"] if row.items() >= ends.items())


def _leak(source: str, target: str, which: str, seen: str, *, firewall: str, rule: str) -> dict[str, str]:
    return {
        "source": source, "target": target, "side": "private", "protocol": "tcp", "ports": seen,
        "intended": "denied", "computed": "admitted", "observed": "admitted", "gate": "in",
        "firewall": firewall, "rule": rule,
        "reason": f"{target} takes {which} from {source}, and nothing in the intent says so",
        "reproduce": f"wavetank exec {source} -- nc -zvw2 10.110.0.7 {which.partition('-')[0]}",
    }  # fmt: skip


def _blocked(source: str, target: str, which: str) -> dict[str, str]:
    told = _leak(
        source, target, which, which, firewall="internal-server", rule="inbound tcp 2358 from judge0-lb"
    )
    views = {"intended": "admitted", "computed": "admitted", "observed": "denied"}
    return told | views | {"reason": f"{which} must pass and does not, though the rules admit it"}


def _violate(made: Report, told: dict[str, str]) -> None:
    made["isolation"]["violations"].append(told)
    row = _row(made, told["source"], told["target"], "tcp")
    passes = told["observed"] == "admitted"
    which = ports.parse(told["ports"])
    row |= _texts(open=which if passes else NONE, filtered=ports.subtract(ALL, which) if passes else ALL)


def _mutation() -> dict[str, Any]:
    ways = ("removed", "widened by one port", "opened to the internet", "moved to another droplet")
    rules = [
        f"internal-{name}: inbound {number}" for name in ("runner", "lb", "server") for number in range(5)
    ]
    names = [f"{rule} {way}" for rule in rules for way in ways] + [
        "postgres: client trusted",
        "worker-1 detached",
    ]
    killers = ("isolation.only_intended_flows_pass", "gates.firewall_rules_are_those_of_the_topology")
    results = [
        {"mutant": name, "killed_by": list(killers[: 1 + index % 2]), "seconds": 1.25 + index / 100}
        for index, name in enumerate(names)
    ]
    return {"mutants": 62, "killed": 62, "score": 1.0, "seconds": 88.4, "survivors": [], "results": results}


def _failover() -> list[dict[str, Any]]:
    """A worker lost once, the balancer's node three times, a partition, the only manager, the front door."""
    one, manager = (
        "They run on other nodes again, by themselves.",
        "Nothing is rescheduled until runner is back.",
    )
    return [
        _faulty("power_off", "worker-1", f"judge0-worker had tasks there. {one}", [_trial(0.0, 12.4, 18.1)]),
        _faulty(
            "power_off",
            "judge0-lb",
            f"judge0-lb and judge0-server had tasks there. {one}",
            [_trial(again, again + 1.2, again + 8.0) for again in (11.8, 16.4, 13.1)],
        ),
        _faulty("partition", "worker-2", f"judge0-worker had tasks there. {one}", [_trial(0.0, 14.8, 19.9)]),
        _faulty("power_off", "runner", manager, [_trial(0.0, None, None)]),
        _faulty("power_off", "client", "Nothing is taken until client is back.", [_trial(None, None, None)]),
    ]


def _faulty(kind: str, node: str, buys: str, trials: list[dict[str, Any]]) -> dict[str, Any]:
    times = ("rto_s", "gap_s", "detected_s", "full_s", "ready_s", "settled_s")
    counts = (
        "submitted", "accepted", "refused", "unanswered", "lost", "duplicated", "unknown",
    )  # fmt: skip
    return {
        "fault": kind,
        "nodes": [node],
        "buys": buys,
        **{name: quantiles([each[name] for each in trials]) for name in times},
        **{name: sum(each[name] for each in trials) for name in counts},
        "trials": trials,
    }


def _trial(again: float | None, detected: float | None, full: float | None) -> dict[str, Any]:
    """A trial of 40 s, healed after 25: programs are refused until the service answers again."""
    healing = 25.0
    sent = []
    for number in range(-4, 100):
        begun = round(number * 0.35, 3)
        refused = 0 < begun < (healing + 4 if again is None else again)
        slow = round(0.3 + number * 7 % 11 / 9 + (4.0 if number % 13 == 0 else 0.0), 3)
        outcome = "unanswered" if refused and number == 1 else "refused" if refused else "accepted"
        seconds = None if outcome == "unanswered" else 4.8 if refused else slow
        sent.append({"begun": begun, "seconds": seconds, "outcome": outcome})
    counted = Counter(each["outcome"] for each in sent)
    return {
        "name": "power_off:node",
        "carried": ["judge0-server"],
        "expected": {"answers": again is not None, "rescheduled": full is not None},
        "rto_s": again, "gap_s": 1.3 + (again or 0.0), "detected_s": detected, "full_s": full,
        "ready_s": 7.9, "settled_s": 12.4, "submitted": len(sent), "accepted": counted["accepted"],
        "refused": counted["refused"], "unanswered": counted["unanswered"],
        "lost": 0, "duplicated": 0, "unknown": 0,
        "timeline": {
            "in_force": 0.8, "observed": healing, "healing": healing, "healed": 27.6, "ended": 40.0,
            "submissions": sent,
        },
        "trouble": "",
    }  # fmt: skip


def _lose(entry: dict[str, Any]) -> None:
    """Have one submission of the first trial be lost, and its swarm not be well afterwards."""
    trial = entry["trials"][0]
    trial["timeline"]["submissions"][3]["outcome"] = "lost"
    trial["trouble"] = "waited 90 s for the swarm to be well; last observed: judge0-server has 1 of 2 tasks"
    trial["lost"] = entry["lost"] = 1


def _checks(topology: Topology) -> Iterator[dict[str, Any]]:
    nodes = list(topology.droplets)
    for file, names, ends in (
        (
            "machines",
            ("machine_is_up", "machine_has_its_name", "engine_answers", "only_its_ports_are_open"),
            nodes,
        ),
        ("gates", ("firewalls_are_those_of_the_topology", "firewalls_are_in_force"), nodes),
        ("isolation", ("only_intended_flows_pass", "only_intended_flows_leave"), ["tcp", "udp", "icmp"]),
        ("end_to_end", ("page_is_served", "program_is_run"), ["python", "c", "cpp", "bash", "javascript"]),
        (
            "nodes",
            ("load_balancer_knows_the_servers", "database_resolves_into_the_vpc"),
            list(topology.databases),
        ),
    ):
        for name in names:
            for number, end in enumerate(ends):
                skipped = (file, end) in (("nodes", "valkey"), ("end_to_end", "cpp"))
                yield {
                    "id": f"{file}.{name}[{end}]",
                    "outcome": "skipped" if skipped else "passed",
                    "reason": "needs a kernel with ESP, this one has none" if skipped else "",
                    "seconds": round(0.04 * (number + 1), 3),
                    "evidence": f"{end}: 166 pairs, none of them differs" if file == "isolation" else "",
                }


def _everywhere(document: Any, key: str = "") -> Any:
    """The document with markup in its free texts; what the schema names one of a few words stays."""
    if isinstance(document, dict):
        return {name: _everywhere(value, name) for name, value in document.items()}
    if isinstance(document, list):
        return [_everywhere(each, key) for each in document]
    free = ("name", "source", "target", "destination", "reason", "firewall", "rule", "reproduce", "run",
            "topology", "mutant", "killed_by", "survivors", "kernel", "engine",
            "status", "partial", "nodes", "buys", "trouble", "carried", "told", "doubts", "label", "what",
            "why", "node", "role", "refused", "REFUSED", "language", "refusal", "docker")  # fmt: skip
    if isinstance(document, str) and key in free and document not in ("local", "internet", "stranger"):
        return document + HOSTILE
    return copy.copy(document)


if __name__ == "__main__":
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    for each, make in SAMPLES.items():
        (directory / f"{each}.json").write_text(json.dumps(make(), indent=2))
        html.write(make(), directory / f"{each}.html")
