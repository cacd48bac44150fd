"""Every mistake in a swarm gets an error that names its field and says what would be right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from topology_samples import ENCRYPTED

from harness.core.errors import TopologyError, TopologyErrors
from harness.topology import Topology

Loader = Callable[..., Topology]

NETWORK = "network: {name: small-net}"
WEB = "    web:\n      droplets: [web]\n"
API = "    api:\n      droplets: [api]\n"
WORKERS = 'constraints: ["node.role == worker"]'
IN_2377 = '      - {protocol: tcp, ports: "2377", from: [api]}\n'
OUT_2377 = '      - {protocol: tcp, ports: "2377", to: [web]}\n'
MEANT_2377 = "  - {from: api, to: web, tcp: [2377]}\n"
MEMBER_7946_IN = '      - {protocol: tcp, ports: "7946", from: [web, api]}\n'
MEANT_7946 = "to: [web, api], tcp: [7946], udp: [4789, 7946]}"
OPEN_VPC = """  - {from: vpc, to: [web, api], tcp: ["0"], udp: ["0"], icmp: true}\n"""
OPEN_TO_VPC = """  - {from: [web, api], to: vpc, tcp: ["0"], udp: ["0"], icmp: true}\n"""
OPEN_WEB = """  - {from: internet, to: web, tcp: ["0"], udp: ["0"], icmp: true}\n"""


def constrained(text: str) -> tuple[str, str]:
    """The api's constraint in place of its own."""
    return WORKERS, f'constraints: ["{text}"]'


# What is replaced in the small swarm, the field that is named, the problem, and the remedy.
BROKEN = {
    "unknown manager": ("managers: [web]", "managers: [wep]", "swarm.managers[0]", "no droplet", "'web'"),
    "no manager": ("managers: [web]", "managers: []", "swarm.managers", "needs a manager", "three"),
    "even managers": (
        "managers: [web]",
        "managers: [web, api-1]",
        "swarm.managers",
        "2 managers survive the loss of none, as 1 would",
        "3 of any one",
    ),
    "manager twice": (
        "managers: [web]",
        "managers: [web, api, api-2]",
        "swarm.managers[2]",
        "'api-2' is a manager already, by 'api'",
        "once",
    ),
    "bad stack name": ("small-stack", "small stack", "swarm.stack", "not a name", "editor-stack"),
    "long full name": ("small-stack", "s" * 60, "swarm.services.web", "longer than 63", "shorten"),
    "bad network name": ("small-net", "small.net", "swarm.network.name", "not a name", "editor-swarm-net"),
    "network of Docker's": ("small-net", "ingress", "swarm.network.name", "Docker's own", "another"),
    "heart too fast": ("heartbeat: 3", "heartbeat: 0", "swarm.heartbeat", "no heartbeat", "1 to 60"),
    "heart too slow": ("heartbeat: 3", "heartbeat: 61", "swarm.heartbeat", "three of them", "1 to 60"),
    "unknown key": ("heartbeat: 3", "heart: 3", "swarm.heart", "unknown key", "heartbeat"),
    "unknown droplet": (API, API.replace("[api]", "[app]"), "swarm.services.api.droplets[0]", "no", "'api'"),
    "service nowhere": (API, API.replace("[api]", "[]"), "swarm.services.api.droplets", "nowhere", "role"),
    "bad service name": (WEB, WEB.replace("web:", "Web_1:"), "swarm.services.Web_1", "host name", "dashes"),
    "service named like the label": (
        API,
        API.replace("api:", "role:"),
        "swarm.services.role",
        "node label",
        "another name",
    ),
    "service in both": (
        "swarm:\n",
        "services:\n  api: {droplets: [api]}\nswarm:\n",
        "swarm.services.api",
        "outside of the swarm",
        "one of the two",
    ),
    "negative replicas": ("replicas: 2", "replicas: -1", "swarm.services.api.replicas", "-1 tasks", "0"),
    "unknown order": (
        "order: stop-first",
        "order: stopfirst",
        "swarm.services.web.order",
        "no order",
        "did you mean 'stop-first'",
    ),
    "unknown capability": (
        "[SYS_ADMIN]",
        "[CAP_SYS_ADMIN]",
        "swarm.services.api.cap_add[0]",
        "no capability",
        "did you mean 'SYS_ADMIN'",
    ),
    "capability twice": (
        "[SYS_ADMIN]",
        "[SYS_ADMIN, SYS_ADMIN]",
        "swarm.services.api.cap_add[0]",
        "twice",
        "once",
    ),
    "no constraint": (
        *constrained("worker"),
        "swarm.services.api.constraints[0]",
        "'worker' is not a constraint",
        "node.labels.role == judge0-server",
    ),
    "single equals sign": (
        *constrained("node.role = worker"),
        "swarm.services.api.constraints[0]",
        "not a constraint",
        "==",
    ),
    "unknown key of a node": (
        *constrained("node.rule == worker"),
        "swarm.services.api.constraints[0]",
        "no 'node.rule'",
        "did you mean 'node.role'",
    ),
    "a droplet's role for a node's": (
        *constrained("node.role == api"),
        "swarm.services.api.constraints[0]",
        "'api' is no role of a node",
        "node.labels.role",
    ),
    "constraint that no droplet meets": (
        *constrained("node.role == manager"),
        "swarm.services.api.constraints",
        "'node.role == manager' excludes api-1 (it is a worker), api-2 (it is a worker)",
        "take the constraint out",
    ),
    "label that no droplet has": (
        *constrained("node.labels.zone == a"),
        "swarm.services.api.constraints",
        "api-1 (it has no label zone)",
        "another droplet",
    ),
    "label of another value": (
        *constrained("node.labels.role != API"),
        "swarm.services.api.constraints",
        "api-1 (its label role is api)",
        "",
    ),
    "more replicas than droplets with the port": (
        "      ports: [80]\n",
        "      ports: [80]\n      replicas: 2\n",
        "swarm.services.web.replicas",
        "2 replicas that no node can place: each publishes port 80",
        "ask for 1",
    ),
    "start first with nowhere to start": (
        "      order: stop-first\n",
        "",
        "swarm.services.web.order",
        "could not start a task before the old one has stopped",
        "stop-first",
    ),
    "port of two services": (
        API,
        f"{API}      ports: [9000]\n      order: stop-first\n    api-b: {{droplets: [api-2], ports: [9000],"
        " order: stop-first, compose: api/docker-compose.yml}\n    api-c:\n      droplets: [api]\n",
        "swarm.services.api-b.ports[0]",
        "port 9000 of 'api-2' is already taken by service 'api'",
        "another port",
    ),
    "port of a plain service": (
        "swarm:\n",
        "services:\n  old: {droplets: [web], ports: [80], compose: web/docker-compose.yml}\nswarm:\n",
        "swarm.services.web.ports[0]",
        "port 80 of 'web' is already taken by service 'old'",
        "another port",
    ),
    "port of the swarm's own": (
        "ports: [80]",
        "ports: [7946]",
        "swarm.services.web.ports[0]",
        "already taken by the swarm",
        "another port",
    ),
    "port without a rule": (
        "ports: [80]",
        "ports: [81]",
        "swarm.services.web.ports[0]",
        "port 81",
        "inbound",
    ),
    "bad variable": (
        "API_URL:",
        "API-URL:",
        "swarm.services.web.environment.API-URL",
        "cannot be a variable",
        "",
    ),
    "unknown name in an expression": (
        "store.private.uri",
        "shop.private.uri",
        "swarm.services.api.environment.DATABASE_URL",
        "shop",
        "databases.NAME",
    ),
    "node in an expression": (
        "http://api:8000",
        "http://{{ node.private_ip }}:8000",
        "swarm.services.web.environment.API_URL",
        "any of its droplets",
        "nodes.NAME",
    ),
    "no compose file": (
        WEB,
        f"{WEB}      compose: web/other.yml\n",
        "swarm.services.web.compose",
        "app/web/other.yml",
        "swarm.services.web.compose",
    ),
    "no template": (
        "web/nginx.conf.j2",
        "web/nginx.j2",
        "swarm.services.web.files.nginx.conf",
        "no template",
        "relative",
    ),
    "unknown service in the checks": (
        "{service: api,",
        "{service: apy,",
        "checks.judge0.service",
        "no service of the swarm",
        "did you mean 'api'",
    ),
    "service and node in the checks": (
        "{service: api,",
        "{service: api, node: api-1,",
        "checks.judge0.node",
        "whichever droplet",
        "take 'node' out",
    ),
    "neither in the checks": (
        "{service: api,",
        "{node: api-1,",
        "checks.judge0.source",
        "missing",
        "'service'",
    ),
    "encrypted behind firewalls": (
        NETWORK,
        "network: {name: small-net, encrypted: true}",
        "swarm.network.encrypted",
        "ESP (IP protocol 50) from member to member, and Cloud Firewalls pass TCP, UDP and ICMP only: those "
        "that cover members (member, front, back, those of management) would drop it all",
        "'encrypted: false': what services say to each other is then in the clear, as VXLAN",
    ),
    "ESP for nothing": (
        NETWORK,
        "network: {name: small-net, esp: uncovered}",
        "swarm.network.esp",
        "sends none",
        "encrypted: true",
    ),
    "ESP by magic": (
        NETWORK,
        "network: {name: small-net, encrypted: true, esp: passed}",
        "swarm.network.esp",
        "not a value for how ESP passes",
        "uncovered",
    ),
    "ESP past a firewall": (
        NETWORK,
        "network: {name: small-net, encrypted: true, esp: uncovered}",
        "firewalls.front",
        "it covers members of the swarm (web)",
        "'firewalls: {}'",
    ),
    "no way to the manager": (
        IN_2377,
        "",
        "swarm",
        "2377/tcp to the managers",
        "the plan's firewall list forgets these ports",
    ),
    "no gossip": (
        MEMBER_7946_IN,
        MEMBER_7946_IN.replace("[web, api]", "[api]"),
        "swarm",
        "7946/tcp web -> api-1, web -> api-2",
        "inbound at the receiver",
    ),
    "nobody in a line of intent": (
        MEANT_7946,
        MEANT_7946.replace("[web, api]", "[]"),
        "intent[2].to",
        "nobody",
        "",
    ),
    "unknown name in a list of the intent": (
        MEANT_7946,
        MEANT_7946.replace("[web, api]", "[web, apy]"),
        "intent[2].to[1]",
        "no droplet",
        "'api'",
    ),
}


def errors_of(error: TopologyError) -> tuple[TopologyError, ...]:
    """Each of the errors, where there are several."""
    return error.errors if isinstance(error, TopologyErrors) else (error,)


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN.keys())
def test_a_mistake_is_named_with_its_field_and_a_remedy(load_swarm: Loader, case: tuple[str, ...]) -> None:
    """One error says where, what, and what would be right."""
    old, new, field, problem, remedy = case
    with pytest.raises(TopologyError) as caught:
        load_swarm((old, new))
    matching = [each for each in errors_of(caught.value) if each.field == field]
    assert matching, f"no error for {field}: {caught.value}"
    assert problem in matching[0].problem
    assert remedy in matching[0].remedy
    assert matching[0].remedy
    assert matching[0].file.endswith("swarm.yaml")


def test_four_managers_are_no_better_than_three(load_swarm: Loader) -> None:
    """The error counts what is given, and says what each odd number survives."""
    droplet = "  api-2: {role: api}\n"
    with pytest.raises(TopologyError, match="4 managers survive the loss of 1, as 3 would") as caught:
        load_swarm(
            (droplet, f"{droplet}  api-3: {{role: api}}\n"), ("managers: [web]", "managers: [api, web]")
        )
    assert "3 of any one, 5 of any two" in caught.value.remedy


def test_a_swarm_behind_the_plans_own_firewalls_is_told_in_one_error(load_swarm: Loader) -> None:
    """The flows are told by port, not one by one, and the plan's gap by its name."""
    rules = [
        f"      - {{protocol: {each}"
        for each in ('tcp, ports: "7946"', 'udp, ports: "7946"', 'udp, ports: "4789"')
    ]
    gone = [f"{rule}, {way}: [web, api]}}\n" for rule in rules for way in ("from", "to")]
    gone += [IN_2377, OUT_2377, MEANT_2377, f"  - {{from: [web, api], {MEANT_7946}\n"]
    with pytest.raises(TopologyError) as caught:
        load_swarm(
            *((each, "") for each in gone),
            ("    inbound:\n    outbound:\n", "    inbound: []\n    outbound: []\n"),
        )
    assert [each.field for each in errors_of(caught.value)] == ["swarm"]
    assert caught.value.problem == (
        "the firewalls stop what the swarm itself sends: 2377/tcp to the managers; 7946/tcp between members; "
        "7946/udp between members; 4789/udp between members"
    )
    assert "plan's firewall list forgets these ports" in caught.value.remedy


def test_nothing_else_is_wrong_with_an_encrypted_overlay_behind_firewalls(load_swarm: Loader) -> None:
    """The conflict comes alone, so that it is understood."""
    with pytest.raises(TopologyError) as caught:
        load_swarm((NETWORK, "network: {name: small-net, encrypted: true}"))
    assert [each.field for each in errors_of(caught.value)] == ["swarm.network.encrypted"]


@pytest.mark.parametrize(
    ("hidden", "told", "line"),
    [
        (OPEN_VPC, "no firewall covers web, api-1, api-2:", "{from: vpc, to: [web, api-1, api-2], tcp:"),
        (OPEN_TO_VPC, "no firewall covers web, api-1, api-2:", "{from: [web, api-1, api-2], to: vpc, tcp:"),
        (OPEN_WEB, "no firewall covers web:", "{from: internet, to: [web], tcp:"),
    ],
)
def test_an_intent_that_hides_what_is_open_is_refused(
    load_swarm: Loader, hidden: str, told: str, line: str
) -> None:
    """One error names the droplets, and writes the line that is missing."""
    old, honest = ENCRYPTED[0]
    assert honest.count(hidden) == 1
    with pytest.raises(TopologyError) as caught:
        load_swarm((old, honest.replace(hidden, "")), *ENCRYPTED[1:])
    assert [each.field for each in errors_of(caught.value)] == ["intent"]
    assert told in caught.value.problem
    assert line in caught.value.remedy


def test_an_intent_that_says_less_than_is_open_is_refused(load_swarm: Loader) -> None:
    """A port that is meant is no excuse for the others, nor TCP for ICMP."""
    old, honest = ENCRYPTED[0]
    for narrow in (OPEN_WEB.replace('tcp: ["0"]', "tcp: [80]"), OPEN_WEB.replace(", icmp: true", "")):
        with pytest.raises(TopologyError, match="everything passes there"):
            load_swarm((old, honest.replace(OPEN_WEB, narrow)), *ENCRYPTED[1:])


def test_an_intent_that_says_nothing_of_what_is_open_is_told_once(load_swarm: Loader) -> None:
    """Not for every pair of droplets; and the remedy is all the lines that make it honest."""
    old, honest = ENCRYPTED[0]
    lines = [line for line in honest.splitlines() if 'tcp: ["0"]' in line]
    silent = "\n".join(line for line in honest.splitlines() if line not in lines) + "\n"
    with pytest.raises(TopologyError) as caught:
        load_swarm((old, silent), *ENCRYPTED[1:])
    told = [each for each in errors_of(caught.value) if each.field == "intent"]
    assert len(told) == 1
    assert told[0].remedy.count('tcp: ["0"], udp: ["0"], icmp: true') == len(lines) == 4


def test_an_intent_that_opens_what_has_no_address_is_refused(load_swarm: Loader) -> None:
    """The other way to be dishonest: the internet reaches no droplet that is private."""
    old, honest = ENCRYPTED[0]
    with pytest.raises(TopologyError, match="'api-1' has no public interface"):
        load_swarm((old, honest.replace("internet, to: web", "internet, to: [web, api]")), *ENCRYPTED[1:])
