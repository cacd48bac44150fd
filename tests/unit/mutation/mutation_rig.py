"""A small protection by hand, and witnesses that compute what they see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.api import Api
from harness.isolation.model import Difference, Observation, Pair, Seen
from harness.mutation.fate import Places, through
from harness.mutation.gates import gates
from harness.mutation.judge import Witnesses
from harness.mutation.protection import End, Ground, Protection, Rule, Wall, read
from harness.topology import ports
from harness.topology.model import Protocol
from harness.topology.ports import Ports

RUN = "a"
PLACES = Places("192.0.2.10", "10.0.0.99", "203.0.113.99", "198.51.100.7")
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQpUDzq3G8P1Yt2h1Ff5iXz8Mfnr5DHyVFTc8HWGFpk wavetank-a"
ANYWHERE = (("addresses", "0.0.0.0/0"),)
VPC = (("addresses", "10.0.0.0/24"),)


def end(name: str, number: int) -> End:
    """A droplet with its own tag and the run's."""
    tags = (f"wavetank:{RUN}", f"wavetank:{RUN}:{name}")
    return End(name, str(number), tags, f"10.0.0.{number}", f"203.0.113.{number}")


def tagged(*names: str) -> tuple[tuple[str, str], ...]:
    """Droplets as the peers of a rule."""
    return tuple(("tags", f"wavetank:{RUN}:{name}") for name in names)


def tags(*names: str) -> tuple[str, ...]:
    """The tags by which a firewall covers droplets."""
    return tuple(f"wavetank:{RUN}:{name}" for name in names)


GROUND = Ground(
    RUN,
    "10.0.0.0/24",
    {name: end(name, number) for number, name in enumerate(("api", "login", "web"), 11)},
    {"main": End("main", "uuid", port=25060)},
)
WEB = Wall(
    "w",
    "wavetank-a--web",
    (Rule("inbound", "tcp", "80", ANYWHERE), Rule("outbound", "tcp", "8000-8001", tagged("api"))),
    tags=tags("web"),
)
API = Wall(
    "p",
    "wavetank-a--api",
    (Rule("inbound", "tcp", "8000-8001", tagged("web")), Rule("outbound", "tcp", "25060", VPC)),
    tags=tags("api"),
)
SSH = Wall("s", "wavetank-a--ssh", (Rule("inbound", "tcp", "22", tagged("login")),), tags=tags("web", "api"))
PROTECTION = Protection((API, SSH, WEB), (("main", (("tag", f"wavetank:{RUN}:api"),)),))


def trusting(*sources: tuple[str, str]) -> Protection:
    """The same with other trusted sources."""
    return Protection(PROTECTION.walls, (("main", sources),))


@dataclass
class Played:
    """Witnesses that see exactly what the gates, as the API reports them now, let through.

    What was let through at the start is what is meant. ``blind`` sees nothing wrong, ``doubtful`` is sure
    of nothing; ``asked`` counts the looks.
    """

    api: Api
    run: str
    places: Places
    blind: bool = False
    doubtful: bool = False
    asked: list[Sequence[Pair]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ground, self.meant = read(self.api, self.run)

    def witnesses(self) -> Witnesses:
        return Witnesses(self.observe, self.differences, lambda: ())

    def observe(self, pairs: Sequence[Pair], asked: Mapping[Protocol, Ports]) -> Observation:
        self.asked.append(pairs)
        now = gates(self.ground, read(self.api, self.run)[1])
        seen = []
        for pair in pairs:
            for protocol, which in asked.items():
                passing = ports.intersect(which, through(self.ground, self.places, now, pair, protocol))
                if self.doubtful:
                    seen.append(Seen(pair, protocol, inconclusive=which, doubts=("fog",)))
                else:
                    silent = ports.subtract(which, passing)
                    seen.append(Seen(pair, protocol, closed=passing, filtered=silent))
        return Observation(tuple(seen), 1, ("prober", "fabric"), 0.0, 0)

    def differences(self, observation: Observation | None) -> tuple[Difference, ...]:
        if observation is None or self.blind:
            return ()
        return tuple(each for seen in observation.seen for each in self._of(seen))

    def _of(self, seen: Seen) -> list[Difference]:
        before = gates(self.ground, self.meant)
        meant = through(self.ground, self.places, before, seen.pair, seen.protocol)
        lost = ports.intersect(meant, seen.filtered)
        gained = ports.subtract(seen.reachable, meant)
        told = [(lost, "admitted", "denied"), (gained, "denied", "admitted")]
        return [
            Difference(seen.pair, seen.protocol, which, was, "", now, "", "", "", "played", "")
            for which, was, now in told
            if which
        ]
