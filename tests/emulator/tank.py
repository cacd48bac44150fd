"""A small tank for tests of the Docker plane: machines, policies, and probes that send real packets."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import docker

from emulator.docker import DockerPlane
from emulator.docker.droplet import inside
from emulator.docker.engine import execute
from emulator.planes.base import Address, AllowRule, DropletSpec, MemberPolicy, NetworkPolicy

Verdict = Literal["open", "closed", "filtered"]

PROBE = """
import socket, sys
kind = socket.SOCK_STREAM
with socket.socket(socket.AF_INET, kind) as s:
    s.settimeout(float(sys.argv[3]))
    try:
        s.connect((sys.argv[1], int(sys.argv[2])))
        print("open")
    except ConnectionRefusedError:
        print("closed")
    except OSError:
        print("filtered")
"""
ANYWHERE = ("0.0.0.0/0",)


def guest_namespace(engine: docker.DockerClient, fabric: str, pid: int) -> str:
    """The network namespace of the droplet that a container's process runs, as the fabric sees it."""
    script = f"from wt_fabric.guests import first_process; print(first_process({pid}))"
    code, output = execute(engine, fabric, ["python3", "-c", script])
    assert code == 0, output
    return f"/proc/{output.decode().strip()}/ns/net"


def tcp(ports: int | tuple[int, int], *peers: str, firewall: str = "test") -> AllowRule:
    """Allow these ports with these peers."""
    first, last = (ports, ports) if isinstance(ports, int) else ports
    return AllowRule("tcp", (first, last), peers or ANYWHERE, firewall)


def udp(port: int, *peers: str) -> AllowRule:
    """Allow this port with these peers."""
    return AllowRule("udp", (port, port), peers or ANYWHERE, "test")


def droplet(
    number: int, *, vpc: int = 1, public: bool = True, user_data: str = "", keys: Sequence[str] = ()
) -> DropletSpec:
    """Droplet ``number`` of one of three VPCs."""
    host = 9 + number
    private = Address(f"10.{vpc}.0.{host}", 20, f"10.{vpc}.0.1")
    address = Address(f"203.0.113.{host}", 24, "203.0.113.1") if public else None
    metadata = {
        "droplet_id": number,
        "hostname": f"node-{number}",
        "user_data": user_data,
        "interfaces": {"private": [{"ipv4": {"ip_address": private.ip}}]},
    }
    return DropletSpec(
        number, f"node-{number}", "ubuntu-24-04-x64", 1, 1024, f"vpc-{vpc}", f"10.{vpc}.0.0/20", address,
        private, tuple(keys), user_data, metadata,
    )  # fmt: skip


@dataclass
class Tank:
    """One plane with its droplets by number; every policy goes through here, so that serials grow."""

    plane: DockerPlane
    instance: str
    engine: docker.DockerClient
    nodes: dict[int, DropletSpec] = field(default_factory=dict)
    databases: list[MemberPolicy] = field(default_factory=list)
    serial: int = 0

    @classmethod
    def new(cls, state: Path) -> Tank:
        """A started plane without machines."""
        instance = f"test{uuid.uuid4().hex[:8]}"
        plane = DockerPlane(instance, state)
        plane.start()
        return cls(plane, instance, docker.from_env())

    def policy(self, **covered: tuple[Iterable[AllowRule], Iterable[AllowRule]]) -> NetworkPolicy:
        """Droplets named ``n1``, ``n2``, ... are covered by (inbound, outbound); all others are open."""
        self.serial += 1
        members = list(self.databases)
        for number in self.nodes:
            gates = covered.get(f"n{number}")
            inbound, outbound = gates or ((), ())
            members.append(
                MemberPolicy(f"droplet:{number}", gates is not None, tuple(inbound), tuple(outbound))
            )
        return NetworkPolicy(self.serial, tuple(members))

    def rules(self, **covered: tuple[Iterable[AllowRule], Iterable[AllowRule]]) -> None:
        """Enforce a policy (see ``policy``)."""
        self.plane.apply(self.policy(**covered))

    def add(self, spec: DropletSpec) -> DropletSpec:
        """Make an uncovered droplet."""
        self.nodes[spec.id] = spec
        self.plane.create_droplet(spec, self.policy())
        return spec

    def container(self, number: int) -> str:
        """A droplet's container."""
        return f"wt-{self.instance}-droplet-{number}"

    def run(self, number: int, *argv: str) -> tuple[int, str]:
        """Run a program in a droplet: its exit code and output."""
        code, output = execute(self.engine, self.container(number), inside(argv))
        return code, output.decode()

    def namespace(self, number: int) -> str:
        """A droplet's network namespace, as the fabric's container sees it."""
        pid = self.engine.api.inspect_container(self.container(number))["State"]["Pid"]
        return guest_namespace(self.engine, f"wt-{self.instance}-fabric", pid)

    def probe(self, number: int, ip: str, port: int, *, seconds: float = 1.0) -> Verdict:
        """What a TCP connection from a droplet meets."""
        code, output = self.run(number, "python3", "-Ic", PROBE, ip, str(port), str(seconds))
        assert code == 0, output
        return output.strip()  # type: ignore[return-value]

    def counted(self, ref: str, gate: str, verdict: str) -> int:
        """Packets that the fabric has counted."""
        return sum(
            int(counter["packets"])
            for counter in self.plane.counters()
            if (counter["ref"], counter["gate"], counter["verdict"]) == (ref, gate, verdict)
        )

    def destroy(self) -> None:
        """Remove everything."""
        self.plane.destroy_all()
        self.engine.close()

    def left(self) -> list[str]:
        """What the engine still has of this tank."""
        mine: dict[str, Any] = {"label": f"wavetank.emulator={self.instance}"}
        containers = [one["Id"] for one in self.engine.api.containers(all=True, filters=mine)]
        return containers + [volume.id for volume in self.engine.volumes.list(filters=mine)]


def socks_banner(proxy: str, host: str, port: int, *, seconds: float = 2.0) -> str:
    """The first bytes a server says to a SOCKS5 client; raises ``OSError`` if it cannot be reached."""
    url = urlsplit(proxy)
    with socket.create_connection((url.hostname, url.port), timeout=seconds) as connection:
        connection.sendall(b"\5\1\0")
        connection.recv(2)
        name = host.encode()
        connection.sendall(b"\5\1\0\3" + bytes([len(name)]) + name + port.to_bytes(2, "big"))
        reply = connection.recv(10)
        if len(reply) < 2 or reply[1]:
            raise ConnectionError(f"the SOCKS server says {reply!r}")
        return connection.recv(64).decode(errors="replace")
