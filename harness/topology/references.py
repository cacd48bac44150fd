"""Checks of what can be said before the model exists: every name is known, every value makes sense."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from harness.topology import names as naming
from harness.topology import values
from harness.topology.model import DATABASE_PORTS, TAGS_PER_FIREWALL
from harness.topology.names import Names
from harness.topology.schema import RawFirewall, RawService, RawTopology
from harness.topology.source import Problems, Step, did_you_mean

RULES_PER_FIREWALL = 50
USER_DATA_LIMIT = 64 * 1024
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
OWN_FILES = (".env", "docker-compose.yml")
REQUEST_WORDS = ("language", "language_id", "source", "stdin")
REPLY_WORDS = ("token", "status", "stdout")


def check(raw: RawTopology, problems: Problems) -> Names:
    """Check names, references and values. Raises ``TopologyError`` with everything that is wrong."""
    names = naming.collect(raw, problems)
    _check_head(raw, problems)
    values.check_vpc(raw, problems)
    values.check_operators(raw, problems)
    _check_droplets(raw, problems)
    _check_databases(raw, names, problems)
    _check_bastion(raw, problems)
    for name, firewall in raw.firewalls.items():
        _check_firewall(name, firewall, names, problems)
    _check_firewall_names(raw, names, problems)
    _check_coverage(raw, names, problems)
    _check_intent(raw, names, problems)
    for name, service in raw.services.items():
        _check_service(name, service, names, problems)
    _check_ports_once(raw, names, problems)
    _check_checks(raw, names, problems)
    problems.raise_any()
    return names


def _check_head(raw: RawTopology, problems: Problems) -> None:
    if not naming.LABEL.fullmatch(raw.name):
        remedy = "take lower-case letters, digits and inner dashes, like 'standard'"
        problems.add(("name",), f"{raw.name!r} is not usable as a name", remedy)
    if not naming.LABEL.fullmatch(raw.region):
        problems.add(("region",), f"{raw.region!r} is no region's slug", "write one like 'fra1'")
    if not raw.droplets:
        problems.add(("droplets",), "there are none", "add at least one")
    if not raw.services and raw.swarm is None:
        problems.add(("services",), "there are none", "add at least one, or a swarm")


def _check_droplets(raw: RawTopology, problems: Problems) -> None:
    for name, droplet in raw.droplets.items():
        for key in ("size", "image"):
            if not (getattr(droplet, key) or getattr(raw.defaults, key)):
                remedy = (
                    f"give it one, or give 'defaults' one; 'wavetank' takes any slug the API knows as {key}"
                )
                problems.add(("droplets", name), f"it has no {key}", remedy)
        _check_user_data(droplet.user_data or "", ("droplets", name, "user_data"), problems)
    _check_user_data(raw.defaults.user_data, ("defaults", "user_data"), problems)


def _check_user_data(text: str, path: tuple[Step, ...], problems: Problems) -> None:
    if len(text.encode()) > USER_DATA_LIMIT:
        problems.add(path, "it is longer than 64 KiB", "shorten it, or fetch the rest from a script")
    if text and not text.startswith("#!"):
        remedy = "begin it with #! and an interpreter; it runs after Wavetank's own first-boot script"
        problems.add(path, "it is not a script", remedy)


def _check_databases(raw: RawTopology, names: Names, problems: Problems) -> None:
    for name, database in raw.databases.items():
        values.check_engine(problems, name, database)
        path = ("databases", name, "trusted_sources")
        naming.check_droplets(problems, names, path, database.trusted_sources)
        if not database.trusted_sources:
            remedy = "list the droplets or roles that use it, as trusted_sources"
            problems.add(path, "no trusted sources: it would be open to anyone with the password", remedy)


def _check_bastion(raw: RawTopology, problems: Problems) -> None:
    path, bastion = ("management", "bastion"), raw.management.bastion
    naming.check_droplet(problems, raw, path, bastion)
    droplet = raw.droplets.get(bastion)
    public = droplet and droplet.public_networking
    if droplet and not (raw.defaults.public_networking if public is None else public):
        remedy = "set its public_networking to true, or name another droplet as bastion"
        problems.add(path, f"{bastion!r} has no public address to log in through", remedy)


def _check_firewall(name: str, firewall: RawFirewall, names: Names, problems: Problems) -> None:
    path = ("firewalls", name)
    naming.check_droplets(problems, names, (*path, "droplets"), firewall.droplets)
    if not firewall.droplets:
        problems.add((*path, "droplets"), "it covers no droplet", "name a droplet or role, or remove it")
    count = len(firewall.inbound) + len(firewall.outbound)
    if count > RULES_PER_FIREWALL:
        problem = f"it has {count} rules, a Cloud Firewall takes {RULES_PER_FIREWALL}"
        problems.add(path, problem, "spread them over two firewalls with the same droplets: they add up")
    for way, peer_key in (("inbound", "from"), ("outbound", "to")):
        for index, rule in enumerate(getattr(firewall, way)):
            here = (*path, way, index)
            values.check_protocol(problems, (*here, "protocol"), rule.protocol)
            if "ports" in rule.model_fields_set:
                values.check_ports(problems, (*here, "ports"), rule.ports)
            elif rule.protocol != "icmp":
                problems.add(here, "it names no ports", 'add \'ports: "80"\', a range, or "0" for all')
            if not rule.peers:
                problems.add((*here, peer_key), "it names nobody", "name a peer, or remove the rule")
            for at, peer in enumerate(rule.peers):
                naming.check_peer(problems, names, (*here, peer_key, at), peer)


def _check_firewall_names(raw: RawTopology, names: Names, problems: Problems) -> None:
    """Names that Wavetank gives itself, to the firewalls for management and to parts of large ones."""
    for name, firewall in raw.firewalls.items():
        if name.startswith("management-") or name == "bootstrap":
            problems.add(
                ("firewalls", name), f"{name!r} is a name Wavetank gives itself", "take another name"
            )
        droplets = [each for given in firewall.droplets for each in names.ends(given)]
        for number in range(2, len(droplets) // TAGS_PER_FIREWALL + 2):
            if f"{name}-{number}" in raw.firewalls:
                problem = (
                    f"{name!r} covers more than {TAGS_PER_FIREWALL} droplets, so this is its second part"
                )
                problems.add(("firewalls", f"{name}-{number}"), problem, "take another name")


def _check_coverage(raw: RawTopology, names: Names, problems: Problems) -> None:
    covered = {
        each for firewall in raw.firewalls.values() for name in firewall.droplets for each in names.ends(name)
    }
    for name in raw.droplets:
        if name not in covered:
            remedy = "cover it by a firewall; one with 'inbound: []' and 'outbound: []' lets nothing pass"
            problems.add(
                ("droplets", name), "no firewall covers it: it would be open to the internet", remedy
            )


def _check_intent(raw: RawTopology, names: Names, problems: Problems) -> None:
    for index, flow in enumerate(raw.intent):
        path = ("intent", index)
        naming.check_end(problems, names, (*path, "from"), flow.source)
        naming.check_end(problems, names, (*path, "to"), flow.destination)
        for protocol in ("tcp", "udp"):
            for at, text in enumerate(getattr(flow, protocol)):
                values.check_ports(problems, (*path, protocol, at), text)
        if not (flow.tcp or flow.udp or flow.icmp):
            problems.add(path, "it names no port", "add 'tcp: [80]', 'udp: [53]' or 'icmp: true'")
        if flow.destination in raw.databases:
            _check_database_flow(raw, index, problems)


def _check_database_flow(raw: RawTopology, index: int, problems: Problems) -> None:
    flow = raw.intent[index]
    port = DATABASE_PORTS.get(raw.databases[flow.destination].engine)
    if port is not None and (flow.tcp != [str(port)] or flow.udp or flow.icmp):
        problem = f"{flow.destination!r} listens on {port}/tcp and on nothing else"
        problems.add(("intent", index), problem, f"write 'tcp: [{port}]'")


def _check_service(name: str, service: RawService, names: Names, problems: Problems) -> None:
    path = ("services", name)
    naming.check_droplets(problems, names, (*path, "droplets"), service.droplets)
    if not service.droplets:
        problems.add((*path, "droplets"), "it runs nowhere", "name a droplet or a role")
    for index, port in enumerate(service.ports):
        values.check_port(problems, (*path, "ports", index), port)
    if service.health and not re.match(r"https?://", service.health):
        remedy = "write a URL as asked on the node itself, like http://127.0.0.1:80/healthz"
        problems.add((*path, "health"), f"{service.health!r} is no URL", remedy)
    for variable in service.environment:
        if not VARIABLE.fullmatch(variable):
            remedy = "take letters, digits and underscores, not beginning with a digit"
            problems.add((*path, "environment", variable), f"{variable!r} cannot be a variable", remedy)
    for target in service.files:
        _check_target(problems, (*path, "files", target), target)


def _check_target(problems: Problems, path: tuple[Step, ...], target: str) -> None:
    parts = PurePosixPath(target)
    if parts.is_absolute() or ".." in parts.parts or not parts.name:
        remedy = "name a file beside the compose file, like 'nginx.conf'"
        problems.add(path, f"{target!r} is outside the service's directory", remedy)
    elif target in OWN_FILES:
        remedy = "use 'environment' for .env, and the application's own compose file"
        problems.add(path, f"{target!r} is written by Wavetank itself", remedy)


def _check_ports_once(raw: RawTopology, names: Names, problems: Problems) -> None:
    owners: dict[tuple[str, int], str] = {}
    for name, service in raw.services.items():
        nodes = [each for droplet in service.droplets for each in names.ends(droplet)]
        for index, port in enumerate(service.ports):
            for node in dict.fromkeys(nodes):
                owner = owners.setdefault((node, port), name)
                if owner != name or Counter(service.ports)[port] > 1:
                    problem = f"port {port} of {node!r} is already taken by service {owner!r}"
                    remedy = "give one of the two another port or droplet"
                    problems.add(("services", name, "ports", index), problem, remedy)
                    break


def _check_checks(raw: RawTopology, names: Names, problems: Problems) -> None:
    if door := raw.checks.front_door:
        path = ("checks", "front_door")
        naming.check_droplet(problems, raw, (*path, "node"), door.node)
        _check_words(problems, (*path, "request"), door.request.values(), REQUEST_WORDS, door.request)
        _check_words(problems, (*path, "reply"), door.reply, REPLY_WORDS, door.reply)
    if judge0 := raw.checks.judge0:
        path = ("checks", "judge0")
        for key, droplet in (("node", judge0.node), ("source", judge0.source)):
            if droplet is not None:
                naming.check_droplet(problems, raw, (*path, key), droplet)
        values.check_port(problems, (*path, "port"), judge0.port)
        naming.check_droplets(problems, names, (*path, "workers"), judge0.workers)


def _check_words(
    problems: Problems,
    path: tuple[Step, ...],
    words: Iterable[str],
    known: tuple[str, ...],
    at: Iterable[str],
) -> None:
    for key, word in zip(at, words, strict=True):
        if word not in known:
            problems.add((*path, key), f"{word!r} is not known here", did_you_mean(word, known))
