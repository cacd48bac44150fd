"""Checks that need no model: every name is known, every value makes sense."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from harness.topology import names as naming
from harness.topology import values
from harness.topology.judge0_ids import BY_TEXT, IDS, STATUSES
from harness.topology.model import DATABASE_PORTS, METHODS, PORTS_OF, TAGS_PER_FIREWALL
from harness.topology.names import Names
from harness.topology.schema import (
    RawEndpoint,
    RawFirewall,
    RawFlow,
    RawFrontDoor,
    RawRunner,
    RawTopology,
)
from harness.topology.source import Problems, Step, did_you_mean
from harness.topology.validation import objectives, services, swarm

RULES_PER_FIREWALL = 50
SECRET = re.compile(r"[a-z][a-z0-9_]{0,62}")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
USER_DATA_LIMIT = 64 * 1024
REQUEST_WORDS = ("language", "language_id", "source", "stdin")
REPLY_WORDS = ("token", "status", "stdout", "stderr", "compile_output", "time", "memory")
HOST_NAME = re.compile(r"(?=.{1,253}$)(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")


def check(raw: RawTopology, problems: Problems) -> Names:
    """Check names, references and values. Raises ``TopologyError`` with everything that is wrong."""
    names = naming.collect(raw, problems)
    _check_head(raw, problems)
    values.check_vpc(raw, problems)
    values.check_emulator(raw, problems)
    values.check_operators(raw, problems)
    _check_droplets(raw, problems)
    _check_databases(raw, names, problems)
    _check_bastion(raw, problems)
    for name, firewall in raw.firewalls.items():
        _check_firewall(name, firewall, names, problems)
    _check_firewall_names(raw, names, problems)
    _check_coverage(raw, names, problems)
    _check_intent(raw, names, problems)
    _check_secrets(raw, problems)
    services.check(raw, names, problems)
    services.check_ports_once(raw, names, problems)
    swarm.check(raw, names, problems)
    _check_checks(raw, names, problems)
    objectives.check(raw, problems)
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


def _check_secrets(raw: RawTopology, problems: Problems) -> None:
    for name, secret in raw.secrets.items():
        if not SECRET.fullmatch(name):
            remedy = "take lower-case letters, digits and underscores, like 'authn_token'"
            problems.add(("secrets", name), f"{name!r} is not usable in an expression", remedy)
        if secret.environment is not None and secret.file is not None:
            problems.add(("secrets", name), "it has two values", "name a variable or a file, not both")
        if secret.environment is not None and not VARIABLE.fullmatch(secret.environment):
            remedy = "write one like 'AUTHN_TOKEN'"
            problem = f"{secret.environment!r} cannot be a variable's name"
            problems.add(("secrets", name, "environment"), problem, remedy)


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
    if swarm.is_uncovered(raw):
        return
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
        for here, end in _ends_of(flow, path):
            naming.check_end(problems, names, here, end)
        for protocol in ("tcp", "udp"):
            for at, text in enumerate(getattr(flow, protocol)):
                values.check_ports(problems, (*path, protocol, at), text)
        for key, ends in (("from", flow.sources), ("to", flow.destinations)):
            if not ends:
                problems.add((*path, key), "it names nobody", "name an end, or remove the line")
        if not (flow.tcp or flow.udp or flow.icmp):
            problems.add(path, "it names no port", "add 'tcp: [80]', 'udp: [53]' or 'icmp: true'")
        for name in flow.destinations:
            if name in raw.databases:
                _check_database_flow(raw, index, name, problems)


def _ends_of(flow: RawFlow, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], str]]:
    """Every end that a line of the intent names, with its path."""
    for key, ends in (("from", flow.sources), ("to", flow.destinations)):
        for index, end in enumerate(ends):
            yield (*path, key, index) if len(ends) > 1 else (*path, key), end


def _check_database_flow(raw: RawTopology, index: int, name: str, problems: Problems) -> None:
    flow = raw.intent[index]
    port = DATABASE_PORTS.get(raw.databases[name].engine)
    if port is not None and (flow.tcp != [str(port)] or flow.udp or flow.icmp):
        problem = f"{name!r} listens on {port}/tcp and on nothing else"
        problems.add(("intent", index), problem, f"write 'tcp: [{port}]'")


def _check_checks(raw: RawTopology, names: Names, problems: Problems) -> None:
    if door := raw.checks.front_door:
        path = ("checks", "front_door")
        naming.check_droplet(problems, raw, (*path, "node"), door.node)
        _check_public_end(path, door, problems)
        _check_submission(path, door, problems)
    if judge0 := raw.checks.judge0:
        path = ("checks", "judge0")
        _check_endpoint(raw, path, judge0, problems)
        naming.check_droplets(problems, names, (*path, "workers"), judge0.workers)
        values.check_headers(problems, (*path, "headers"), judge0.headers)
    _check_requests(raw, problems)
    if runner := raw.checks.runner:
        path = ("checks", "runner")
        _check_endpoint(raw, path, runner, problems)
        _check_submission(path, runner, problems)
        if raw.checks.front_door is None and not (runner.path and runner.request and runner.reply):
            remedy = "give it path, request and reply, or add checks.front_door: it takes the same requests"
            problems.add(path, "nothing says how the runner is asked", remedy)


def _check_requests(raw: RawTopology, problems: Problems) -> None:
    path = ("checks", "requests")
    if raw.checks.requests and raw.checks.front_door is None:
        problems.add(path, "nothing says where they are sent", "add checks.front_door")
    for index, request in enumerate(raw.checks.requests):
        given = [each for each in METHODS if getattr(request, each) is not None]
        if len(given) != 1:
            problem = f"it has {' and '.join(given) or 'no method'}"
            remedy = f"give it one of {', '.join(METHODS)} with a path, like 'get: /api/users'"
            problems.add((*path, index), problem, remedy)
        for method in given:
            if not getattr(request, method).startswith("/"):
                problem = f"{getattr(request, method)!r} is no path"
                problems.add((*path, index, method), problem, "begin it with /")
        if not 200 <= request.expect.status <= 599:
            problem = f"{request.expect.status} is no status of an answer"
            problems.add((*path, index, "expect"), problem, "write one from 200 to 599")


def _check_public_end(path: tuple[Step, ...], door: RawFrontDoor, problems: Problems) -> None:
    if door.scheme not in PORTS_OF:
        remedy = did_you_mean(door.scheme, PORTS_OF)
        problems.add((*path, "scheme"), f"{door.scheme!r} is not spoken here", remedy)
    if door.port is not None:
        values.check_port(problems, (*path, "port"), door.port)
    if door.server_name and not HOST_NAME.fullmatch(door.server_name):
        remedy = "write the name alone, like code.example.com"
        problems.add((*path, "server_name"), f"{door.server_name!r} is no host name", remedy)


def _check_submission(path: tuple[Step, ...], end: RawFrontDoor | RawRunner, problems: Problems) -> None:
    """How programs are submitted, at the front door or at the runner."""
    _check_words(problems, (*path, "request"), end.request.values(), REQUEST_WORDS, end.request)
    _check_words(problems, (*path, "reply"), end.reply, REPLY_WORDS, end.reply)
    values.check_headers(problems, (*path, "headers"), end.headers)
    _check_languages((*path, "languages"), end.languages, problems)
    for word, meant in end.statuses.items():
        if meant not in BY_TEXT and not (meant.isdecimal() and int(meant) in STATUSES):
            remedy = f"write a number from 1 to {max(STATUSES)} or its text; {did_you_mean(meant, BY_TEXT)}"
            problems.add((*path, "statuses", word), f"{meant!r} is none of Judge0's statuses", remedy)


def _check_languages(path: tuple[Step, ...], languages: Mapping[str, int], problems: Problems) -> None:
    """Ids that our programs are not written in are the application's matter, but one must be ours."""
    known = ", ".join(f"{name} {number}" for name, number in IDS.items())
    for name, number in languages.items():
        if name not in IDS and name != str(number):
            problems.add((*path, name), f"no program here is in {name!r}", did_you_mean(name, IDS))
        if number < 1:
            problems.add((*path, name), f"{number} is no id", "write the id that the application takes")
    if languages and not set(languages) & set(IDS):
        remedy = f"name one of those that programs are written in, as a map where ids differ: {known}"
        problems.add(path, "no program here is in any of these languages", remedy)


def _check_endpoint(
    raw: RawTopology, path: tuple[Step, ...], endpoint: RawEndpoint, problems: Problems
) -> None:
    """It is either asked at one droplet from another, or wherever a service of the swarm runs."""
    values.check_port(problems, (*path, "port"), endpoint.port)
    droplets = {"node": endpoint.node, "source": endpoint.source}
    if endpoint.service is None:
        for key, droplet in droplets.items():
            if droplet is None:
                remedy = "name a droplet; or, for a service of the swarm's, name that as 'service' instead"
                problems.add((*path, key), "is missing", remedy)
            else:
                naming.check_droplet(problems, raw, (*path, key), droplet)
        return
    known = raw.swarm.services if raw.swarm else {}
    if endpoint.service not in known:
        problem = f"no service of the swarm is called {endpoint.service!r}"
        problems.add((*path, "service"), problem, did_you_mean(endpoint.service, known))
    for key, droplet in droplets.items():
        if droplet is not None:
            problem = "a service of the swarm is asked at whichever droplet its task runs on"
            problems.add((*path, key), problem, f"take {key!r} out, or 'service'")


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
