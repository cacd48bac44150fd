"""Parse the output of the loop on a node, line by line, into readings (the format is in ``loop``)."""

from __future__ import annotations

from dataclasses import dataclass

from harness.load.watch.counters import Reading, Track
from harness.load.watch.machine import cpu_times

UNITS = {"cgroup1": 1e9, "cgroup2": 1e6}
SOURCES = {
    "cgroup1": "cgroup v1",
    "cgroup2": "cgroup v2",
    "proc": "/proc/stat",
    "host": "/proc/stat, of the host: the node is a container that sees no control group",
}


@dataclass
class Reader:
    """Parses a node's lines and adds them to its track."""

    track: Track
    own: str = "proc"
    hz: float = 100.0
    unit: float = 1e9

    def take(self, at: float, line: str) -> None:
        """One line that arrived ``at`` (monotonic). An invalid line is recorded as a fault."""
        kind, _, rest = line.rstrip("\n").partition("|")
        try:
            {"H": self._header, "N": self._name, "S": self._sample}[kind](at, rest.split("|"))
        except (KeyError, ValueError, TypeError):
            self.track.faults.append((at, f"an invalid line: {line.strip()[:120]!r}"))

    def _header(self, _at: float, fields: list[str]) -> None:
        self.own, hz, processors, quota, period, parts = fields
        self.track.source = SOURCES[self.own]
        self.hz, self.unit = float(hz), UNITS.get(parts, 1e9)
        self.track.cores = cores(int(processors), quota, int(period))

    def _name(self, _at: float, fields: list[str]) -> None:
        identity, project, stack, service, name = fields
        self.track.names[identity] = project or service.removeprefix(f"{stack}_") or name

    def _sample(self, at: float, fields: list[str]) -> None:
        uptime, cpu, memory, used = fields
        if self.own in UNITS:
            spent, stolen = int(cpu) / UNITS[self.own], None
        else:
            spent, stolen = cpu_times(cpu, self.hz)
        self.track.readings.append(
            Reading(at, float(uptime), spent, float(memory), self._containers(used), stolen)
        )

    def _containers(self, used: str) -> dict[str, float]:
        """CPU seconds by container's id."""
        pairs = (each.split("=") for each in used.split())
        return {identity: int(value) / self.unit for identity, value in pairs}


def cores(processors: int, quota: str, period: int) -> float:
    """How many a node may use: its processors, or its control group's limit where that is less."""
    limited = quota.isdigit() and int(quota) > 0 and period > 0
    return min(float(processors), int(quota) / period) if limited else float(processors)
