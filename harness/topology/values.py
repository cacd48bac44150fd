"""Checks of single values: addresses, ports, protocols, engines, regions and sizes as words."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import Final

from harness.core import ports
from harness.core.names import DROPLET_SYSTEMS
from harness.topology.schema import RawDatabase, RawTopology
from harness.topology.source import Problems, Step, did_you_mean

Network = ipaddress.IPv4Network

PROTOCOLS: Final = ("tcp", "udp", "icmp")
ENGINES: Final = ("pg", "valkey", "mongodb")
ENGINE_NAMES = {"postgres": "pg", "postgresql": "pg", "redis": "valkey", "mongo": "mongodb"}
SELF = "self"
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # a token of RFC 9110
OWN_HEADERS = ("host", "content-length", "content-type", "connection", "transfer-encoding")
PRIVATE = tuple(map(Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")))
TAKEN = {
    "172.17.0.0/16": "Docker's own bridge on every droplet",
    "10.244.0.0/15": "a range DigitalOcean keeps for itself",
    "10.229.0.0/16": "a range DigitalOcean keeps for itself",
}


def is_cidr(text: str) -> bool:
    """Whether this is an IPv4 network or address."""
    return parse_cidr(text) is None


def parse_cidr(text: str) -> str | None:
    """What is wrong with an IPv4 network or address; None: nothing."""
    try:
        Network(text)
    except ValueError as error:
        return str(error)
    return None


def check_emulator(raw: RawTopology, problems: Problems) -> None:
    """What emulated droplets are to be."""
    asked = raw.emulator.droplets
    if asked is not None and asked not in DROPLET_SYSTEMS:
        problems.add(
            ("emulator", "droplets"), f"droplets cannot be {asked!r}", did_you_mean(asked, DROPLET_SYSTEMS)
        )


def check_vpc(raw: RawTopology, problems: Problems) -> None:
    """The VPC's range: private, /16 to /28, and overlapping nothing that droplets must reach."""
    path = ("vpc", "ip_range")
    text = raw.vpc.ip_range
    if text is None:
        return
    if wrong := parse_cidr(text):
        problems.add(path, f"{text!r} is no range: {wrong}", "write one like 10.10.0.0/20, or leave it out")
        return
    network = Network(text)
    if not any(network.subnet_of(private) for private in PRIVATE):
        remedy = "take a range inside 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16"
        problems.add(path, f"{text} is not private (RFC 1918)", remedy)
    if not 16 <= network.prefixlen <= 28:
        problems.add(path, f"{text} is a /{network.prefixlen}", "take a range from /16 to /28")
    others = dict(TAKEN) | {cidr: "an operator's" for cidr in raw.management.operators if is_cidr(cidr)}
    for other, what in others.items():
        if network.overlaps(Network(other)):
            problem = f"{text} overlaps {other} ({what})"
            problems.add(path, problem, "take another range, or leave it out for one that is free")


def check_operators(raw: RawTopology, problems: Problems) -> None:
    """Each operator is ``self`` or a network that is not the whole internet."""
    path = ("management", "operators")
    if not raw.management.operators:
        problems.add(path, "nobody could log in", f"add '{SELF}' (this machine) or a CIDR")
    for index, text in enumerate(raw.management.operators):
        if text == SELF:
            continue
        if wrong := parse_cidr(text):
            remedy = f"write '{SELF}' or an IPv4 network like 198.51.100.7/32"
            problems.add((*path, index), f"{text!r} is no network: {wrong}", remedy)
        elif Network(text).prefixlen == 0:
            remedy = f"name the networks that operators work from, or '{SELF}'"
            problems.add((*path, index), f"{text} would let the whole internet log in", remedy)


def check_ports(problems: Problems, path: Sequence[Step], text: str) -> None:
    """A port, a range, or "0" for all."""
    try:
        if "," in text:
            raise ValueError(f"{text!r} lists several")
        ports.parse(text)
    except ValueError as error:
        problems.add(path, str(error), 'write a port ("22"), a range ("8000-9000"), or "0" for all')


def check_port(problems: Problems, path: Sequence[Step], port: int) -> None:
    """A single port."""
    if not 1 <= port <= 65535:
        problems.add(path, f"{port} is out of range", "ports go from 1 to 65535")


def check_headers(problems: Problems, path: Sequence[Step], names: Iterable[str]) -> None:
    """Names of HTTP headers that a request may be given."""
    for name in names:
        if not HEADER.fullmatch(name):
            remedy = "take letters, digits and dashes, like X-Auth-Token"
            problems.add((*path, name), f"{name!r} is no name of a header", remedy)
        elif name.lower() in OWN_HEADERS:
            remedy = "take it out; 'server_name' of the front door is what requests say in Host"
            problems.add((*path, name), f"every request has its own {name}", remedy)


def check_protocol(problems: Problems, path: Sequence[Step], protocol: str) -> None:
    """Cloud Firewalls pass TCP, UDP and ICMP, nothing else."""
    if protocol not in PROTOCOLS:
        hint = "ESP, GRE and others cannot pass a covered droplet; "
        remedy = hint + did_you_mean(protocol, PROTOCOLS)
        problems.add(path, f"Cloud Firewalls do not know protocol {protocol!r}", remedy)


def check_engine(problems: Problems, name: str, database: RawDatabase) -> None:
    """An engine Wavetank knows, one to three nodes."""
    path, engine = ("databases", name, "engine"), database.engine
    if engine == "redis":
        remedy = "say 'engine: valkey'; it speaks the same protocol"
        problems.add(path, "DigitalOcean makes no new Redis clusters since April 2025", remedy)
    elif engine not in ENGINES:
        known = ", ".join(ENGINES)
        meant = ENGINE_NAMES.get(engine)
        remedy = f"say {meant!r}; known here: {known}" if meant else did_you_mean(engine, ENGINES)
        problems.add(path, f"unknown engine {engine!r}", remedy)
    if not 1 <= database.nodes <= 3:
        problem = f"a cluster has 1 to 3 nodes, not {database.nodes}"
        problems.add(("databases", name, "nodes"), problem, "write 1, 2 or 3")
