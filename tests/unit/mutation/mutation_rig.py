"""A small network by hand, and evidence sources that compute their results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.core import ports
from harness.core.names import STRANGER
from harness.core.ports import Ports
from harness.firewall.evaluate import admitted
from harness.firewall.from_api import read
from harness.firewall.model import Database, Droplet, Firewall, FirewallState, Network, Pair, Peer, Rule
from harness.isolation.model import Difference, Observation, ScanResult
from harness.mutation.judge import EvidenceSources
from harness.target.api import Api
from harness.topology.model import Protocol

RUN = "a"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQpUDzq3G8P1Yt2h1Ff5iXz8Mfnr5DHyVFTc8HWGFpk wavetank-a"
ANYWHERE = (Peer("addresses", "0.0.0.0/0"),)
VPC = (Peer("addresses", "10.0.0.0/24"),)


def looked_at(network: Network) -> Network:
    """The network with a stranger, an operator and an internet address to look from."""
    private = f"{network.vpc_range.split('.0/')[0]}.99"
    outsider = Droplet(STRANGER, "", private=private, public="203.0.113.99")
    operators = ("198.51.100.7/32",)
    return replace(network, others={STRANGER: outsider}, operators=operators, internet="192.0.2.10")


def droplet(name: str, number: int) -> Droplet:
    """A droplet with its own tag and the run's."""
    tags = (f"wavetank:{RUN}", f"wavetank:{RUN}:{name}")
    return Droplet(name, str(number), private=f"10.0.0.{number}", public=f"203.0.113.{number}", tags=tags)


def tagged(*names: str) -> tuple[Peer, ...]:
    """Droplets as the peers of a rule."""
    return tuple(Peer("tags", each) for each in tags(*names))


def tags(*names: str) -> tuple[str, ...]:
    """The tags by which a firewall covers droplets."""
    return tuple(f"wavetank:{RUN}:{name}" for name in names)


WEB = Firewall(
    "w",
    "wavetank-a--web",
    (Rule("inbound", "tcp", "80", ANYWHERE), Rule("outbound", "tcp", "8000-8001", tagged("api"))),
    tags=tags("web"),
)
API = Firewall(
    "p",
    "wavetank-a--api",
    (Rule("inbound", "tcp", "8000-8001", tagged("web")), Rule("outbound", "tcp", "25060", VPC)),
    tags=tags("api"),
)
SSH = Firewall(
    "s", "wavetank-a--ssh", (Rule("inbound", "tcp", "22", tagged("login")),), tags=tags("web", "api")
)
STATE = FirewallState((API, SSH, WEB), (("main", tagged("api")),))
NETWORK = looked_at(
    Network(
        RUN,
        "10.0.0.0/24",
        {name: droplet(name, number) for number, name in enumerate(("api", "login", "web"), 11)},
        {"main": Database("main", "uuid", 25060, private="10.0.0.0/24")},
        STATE,
    )
)


def trusting(*sources: Peer) -> Network:
    """The same with other trusted sources."""
    return NETWORK.under(replace(STATE, trusted=(("main", sources),)))


def guarded_by(*firewalls: Firewall) -> Network:
    """The same with other firewalls."""
    return NETWORK.under(replace(STATE, firewalls=firewalls))


@dataclass
class Played:
    """Evidence sources that report exactly what the rules, as the API reports them now, let through.

    What was let through at the start is what is meant. ``blind`` sees nothing wrong, ``doubtful`` is sure
    of nothing; ``asked`` counts the looks.
    """

    api: Api
    run: str
    blind: bool = False
    doubtful: bool = False
    asked: list[Sequence[Pair]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.meant = looked_at(read(self.api, self.run))

    def evidence_sources(self) -> EvidenceSources:
        return EvidenceSources(self.observe, self.differences, lambda: ())

    def observe(self, pairs: Sequence[Pair], asked: Mapping[Protocol, Ports]) -> Observation:
        self.asked.append(pairs)
        now = looked_at(read(self.api, self.run))
        result = []
        for pair in pairs:
            for protocol, which in asked.items():
                passing = ports.intersect(which, admitted(now, pair, protocol))
                if self.doubtful:
                    result.append(ScanResult(pair, protocol, inconclusive=which, doubts=("fog",)))
                else:
                    silent = ports.subtract(which, passing)
                    result.append(ScanResult(pair, protocol, closed=passing, filtered=silent))
        return Observation(tuple(result), 1, ("prober", "fabric"), 0.0, 0)

    def differences(self, observation: Observation | None) -> tuple[Difference, ...]:
        if observation is None or self.blind:
            return ()
        return tuple(each for result in observation.results for each in self._of(result))

    def _of(self, result: ScanResult) -> list[Difference]:
        meant = admitted(self.meant, result.pair, result.protocol)
        lost = ports.intersect(meant, result.filtered)
        gained = ports.subtract(result.reachable, meant)
        sets = [(lost, "admitted", "denied"), (gained, "denied", "admitted")]
        return [
            Difference(result.pair, result.protocol, which, was, "", now, "", "", "", "played", "")
            for which, was, now in sets
            if which
        ]
