"""What passes between machines: real packets through the fabric's gates."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from tank import Tank, tcp, udp

from emulator.docker.droplet import inside
from emulator.planes.base import AllowRule

pytestmark = pytest.mark.docker

ONE, TWO, THREE, FOUR = "10.1.0.10", "10.1.0.11", "10.2.0.12", "10.1.0.13"
TWO_PUBLIC, THREE_PUBLIC = "203.0.113.11", "203.0.113.12"
ALL = (
    tcp((0, 65535)),
    AllowRule("udp", (0, 65535), ("0.0.0.0/0",)),
    AllowRule("icmp", (0, 65535), ("0.0.0.0/0",)),
)
SEND_RAW = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, int(sys.argv[2]))
s.sendto(b"x" * 16, (sys.argv[1], 0))
"""
SPOOF = """
import socket, struct, sys
header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 28, 1, 0, 64, 17, 0,
    socket.inet_aton(sys.argv[1]), socket.inet_aton(sys.argv[2]))
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
s.sendto(header + struct.pack("!HHHH", 9, 9, 8, 0), (sys.argv[2], 0))
"""
FLOOD = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(int(sys.argv[2])):
    s.sendto(b"", (sys.argv[1], 9))
"""
PACKETS = 400_000
HOLD = """
import socket, sys
s = socket.create_connection((sys.argv[1], 22))
s.recv(64)
sys.stdout.write("connected\\n")
sys.stdout.flush()
sys.stdin.readline()
s.sendall(b"SSH-2.0-test\\r\\n")
sys.stdout.write(f"{len(s.recv(64)) > 0}\\n")
"""


def test_uncovered_machines_reach_each_other(tank: Tank) -> None:
    """Without a firewall an open port is open and a closed one says so, privately and publicly."""
    assert tank.probe(1, TWO, 22) == "open"
    assert tank.probe(1, TWO, 9) == "closed"
    assert tank.probe(1, TWO_PUBLIC, 22) == "open"


def test_covered_receiver_denies_by_default(tank: Tank) -> None:
    """A firewall without rules lets nothing in, and the fabric counts what it drops."""
    tank.rules(n2=((), ()))
    before = tank.counted("droplet:2", "in", "drop")
    assert tank.probe(1, TWO, 22) == "filtered"
    assert tank.counted("droplet:2", "in", "drop") > before


def test_covered_sender_denies_by_default(tank: Tank) -> None:
    """A firewall with inbound rules only keeps its droplet from sending."""
    tank.rules(n1=((tcp(22),), ()))
    assert tank.probe(1, TWO, 22) == "filtered"
    assert tank.probe(2, ONE, 22) == "open"


def test_both_gates_must_allow(tank: Tank) -> None:
    """The sender's and the receiver's gate are asked independently."""
    tank.rules(n1=((), (tcp(22),)), n2=((), ()))
    assert tank.probe(1, TWO, 22) == "filtered"
    tank.rules(n1=((), ()), n2=((tcp(22),), ()))
    assert tank.probe(1, TWO, 22) == "filtered"
    tank.rules(n1=((), (tcp(22),)), n2=((tcp(22),), ()))
    assert tank.probe(1, TWO, 22) == "open"


def test_rule_admits_its_ports_and_peers_only(tank: Tank) -> None:
    """The port beside an allowed one and the peer beside a named one are filtered."""
    tank.rules(n2=((tcp((22, 23), f"{ONE}/32"),), ()))
    assert tank.probe(1, TWO, 22) == "open"
    assert tank.probe(1, TWO, 23) == "closed"
    assert tank.probe(1, TWO, 24) == "filtered"
    assert tank.probe(4, TWO, 22) == "filtered"


def test_several_firewalls_are_a_union(tank: Tank) -> None:
    """What one of two firewalls allows passes, and is counted under its name."""
    tank.rules(n2=((tcp(22, "192.0.2.0/24", firewall="one"), tcp(22, f"{ONE}/32", firewall="two")), ()))
    assert tank.probe(1, TWO, 22) == "open"
    passed = {
        counter["firewall"]: counter["packets"]
        for counter in tank.plane.counters()
        if counter["ref"] == "droplet:2" and counter["gate"] == "in" and counter["verdict"] == "pass"
    }
    assert passed["two"] > 0
    assert passed["one"] == 0


def test_machine_the_policy_does_not_know_is_shut(tank: Tank) -> None:
    """A machine without a policy gets nothing through: the fabric fails closed."""
    nodes = dict(tank.nodes)
    try:
        del tank.nodes[2]
        tank.rules()
        assert tank.probe(1, TWO, 22) == "filtered"
    finally:
        tank.nodes = nodes


def test_vpcs_are_separate(tank: Tank) -> None:
    """Private addresses of another VPC cannot be reached, public ones can."""
    assert tank.probe(1, THREE, 22) == "filtered"
    assert tank.probe(1, THREE_PUBLIC, 22) == "open"


def test_private_droplet_reaches_its_vpc_only(tank: Tank) -> None:
    """Without a public interface there is the VPC and nothing else."""
    assert tank.probe(4, TWO, 22) == "open"
    assert tank.probe(4, TWO_PUBLIC, 22) == "filtered"


def test_spoofed_source_is_dropped_and_counted(tank: Tank) -> None:
    """A packet whose source is not the droplet's own does not leave it."""
    before, arrived = tank.counted("droplet:1", "spoof", "drop"), tank.counted("droplet:2", "in", "pass")
    code, output = tank.run(1, "python3", "-Ic", SPOOF, FOUR, TWO)
    assert code == 0, output
    assert tank.counted("droplet:1", "spoof", "drop") == before + 1
    assert tank.counted("droplet:2", "in", "pass") == arrived


def test_esp_does_not_pass_a_covered_droplet(tank: Tank) -> None:
    """Even a firewall that allows everything allows TCP, UDP and ICMP only; without one ESP passes."""
    received = tank.counted("droplet:2", "in", "pass")
    assert tank.run(1, "python3", "-Ic", SEND_RAW, TWO, "50")[0] == 0
    assert tank.counted("droplet:2", "in", "pass") == received + 1
    tank.rules(n2=(ALL, ALL))
    dropped = tank.counted("droplet:2", "in", "drop")
    assert tank.run(1, "python3", "-Ic", SEND_RAW, TWO, "50")[0] == 0
    assert tank.counted("droplet:2", "in", "drop") == dropped + 1


def test_established_connection_survives_a_change_of_rules(tank: Tank) -> None:
    """New rules stop new connections; the one that was there goes on."""
    hold = inside(["python3", "-Ic", HOLD, TWO])
    made = tank.engine.api.exec_create(tank.container(1), hold, stdin=True, tty=True)
    stream = tank.engine.api.exec_start(made["Id"], socket=True, tty=True)
    raw = stream._sock
    try:
        raw.settimeout(10)
        assert b"connected" in raw.recv(64)
        tank.rules(n1=((), ()), n2=((), ()))
        assert tank.probe(1, TWO, 22) == "filtered"
        raw.sendall(b"go\n")
        said = b""
        while b"True" not in said and b"False" not in said:
            said += raw.recv(64)
        assert b"True" in said
    finally:
        stream.close()
        raw.close()


@pytest.mark.parametrize("side", ["private", "public"])
def test_replacing_rules_loses_nothing_that_old_and_new_allow(tank: Tank, side: str) -> None:
    """A stream goes on while rules are replaced as fast as can be: every packet passes all of its gates."""
    networks = ("10.1.0.0/28", "10.3.0.0/24", "198.51.100.0/24", "203.0.113.0/25", "10.9.0.1/32")
    through = AllowRule("udp", (9, 9), networks, f"flood {side}")
    container, target, gates = {
        "private": ("droplet-1", TWO, {("droplet:1", "out"), ("droplet:2", "in")}),
        "public": ("fabric", TWO_PUBLIC, {("droplet:2", "in")}),
    }[side]
    sender = tank.engine.containers.get(f"wt-{tank.instance}-{container}")
    flood = ["python3", "-Ic", FLOOD, target, str(PACKETS)]

    def replace(*more: AllowRule) -> None:
        tank.rules(n1=((), (through, *more)), n2=((through, *more), ()))

    replace()
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(sender.exec_run, flood if container == "fabric" else inside(flood))
        while not sending.done():
            replace(tcp(22))
            replace()
    assert tuple(sending.result()) == (0, b"")
    passed = {
        (counter["ref"], counter["gate"]): counter["packets"]
        for counter in tank.plane.counters()
        if (counter["firewall"], counter["verdict"]) == (f"flood {side}", "pass") and counter["packets"]
    }
    assert passed == dict.fromkeys(gates, PACKETS)


def test_counters_only_grow(tank: Tank) -> None:
    """A change of rules keeps what was counted."""
    tank.probe(1, TWO, 22)
    before = tank.counted("all", "established", "pass")
    assert before > 0
    tank.rules(n2=((tcp(80),), ()))
    assert tank.counted("all", "established", "pass") >= before


def test_older_policy_does_not_undo_a_newer_one(tank: Tank) -> None:
    """Policies may arrive out of order; the highest serial stays in force."""
    old, new = tank.policy(), tank.policy(n2=((), ()))
    tank.plane.apply(new)
    tank.plane.apply(old)
    assert tank.probe(1, TWO, 22) == "filtered"


def test_names_need_an_outbound_rule(tank: Tank) -> None:
    """The resolver refuses unknown names at once; a covered droplet without port 53 gets no answer."""
    ask = ("python3", "-Ic", "import socket; s = socket.socket(2, 2); s.settimeout(1); "
           "s.sendto(bytes.fromhex('000101000001000000000000016100000100 01'), ('203.0.113.2', 53)); "
           "print(s.recv(64)[3] & 15)")  # fmt: skip
    assert tank.run(1, *ask) == (0, "5\n")
    tank.rules(n1=((), ()))
    assert tank.run(1, *ask)[0] != 0
    tank.rules(n1=((), (udp(53),)))
    assert tank.run(1, *ask) == (0, "5\n")
