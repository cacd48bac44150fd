"""Every mistake in a topology gets an error that names its field and says what would be right."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from harness.core.errors import TopologyError, TopologyErrors
from harness.topology import Topology

Loader = Callable[..., Topology]

WEB_IN = '- {protocol: tcp, ports: "80", from: [internet]}'
WEB_OUT = '- {protocol: tcp, ports: "8000-8001", to: [api]}'
API_IN = '- {protocol: tcp, ports: "8000-8001", from: [web]}'
API_OUT = '- {protocol: tcp, ports: "25060", to: [vpc]}'

# What is replaced in the small topology, the field that is named, the problem, and the remedy.
BROKEN = {
    "wrong schema version": ("topology/v1", "topology/v9", "schema", "not a version", "wavetank/topology/v1"),
    "droplets of an unknown system": (
        "app: app",
        "app: app\nemulator: {droplets: ubuntu-22.04}",
        "emulator.droplets",
        "cannot be 'ubuntu-22.04'",
        "'ubuntu-24.04'",
    ),
    "secret of two sources": (
        "app: app",
        "app: app\nsecrets: {a: {environment: A, file: a.txt}}",
        "secrets.a",
        "two values",
        "not both",
    ),
    "secret of no known kind": (
        "app: app",
        "app: app\nsecrets: {a: random}",
        "secrets.a",
        "is a string, but should be a mapping",
        "write a mapping",
    ),
    "secret with a dash": (
        "app: app",
        "app: app\nsecrets: {a-b: generated}",
        "secrets.a-b",
        "not usable",
        "'authn",
    ),
    "secret of no variable": (
        "app: app",
        "app: app\nsecrets: {a: {environment: a-b}}",
        "secrets.a.environment",
        "cannot be a variable's name",
        "AUTHN_TOKEN",
    ),
    "unknown key": ("region: fra1", "regoin: fra1", "regoin", "unknown key", "did you mean 'region'"),
    "unknown nested key": ("engine: pg", "engin: pg", "databases.store.engin", "unknown key", "'engine'"),
    "missing key": ("region: fra1\n", "", "region", "is missing", "docs/topology.md"),
    "wrong type": (
        "operators: [self, 198.51.100.0/24]",
        "operators: self",
        "management.operators",
        "a list",
        "",
    ),
    "number for a name": ("  web: {}", "  7: {}", "droplets[7]", "should be", ""),
    "fraction for a version": ('version: "15"', "version: 15.1", "databases.store.version", "string", ""),
    "bad droplet name": ("api-2: {role", "Api_2: {role", "droplets.Api_2", "host name", "lower-case"),
    "reserved droplet name": ("api-2: {role", "vpc: {role", "droplets.vpc", "meaning of its own", "another"),
    "role that is a droplet": ("api-2: {role: api}", "api-2: {role: web}", "droplets.api-2.role", "also", ""),
    "database named like a role": ("  store:\n", "  api:\n", "databases.api", "also", "another name"),
    "long database name": ("  store:\n", f"  {'s' * 18}:\n", f"databases.{'s' * 18}", "host name", "17"),
    "no image": (", image: ubuntu-24-04-x64", "", "droplets.web", "no image", "defaults"),
    "oversized user data": (
        "web: {}",
        f"web: {{user_data: '#!{'x' * 65537}'}}",
        "droplets.web.user_data",
        "64 KiB",
        "",
    ),
    "user data of another kind": (
        "web: {}",
        "web: {user_data: '#cloud-config'}",
        "droplets.web.user_data",
        "not a script",
        "#!",
    ),
    "firewall named like ours": (
        "  front:",
        "  management-nodes:",
        "firewalls.management-nodes",
        "gives itself",
        "another name",
    ),
    "bad region": ("region: fra1", "region: Frankfurt 1", "region", "slug", "fra1"),
    "bad name": ("name: small", "name: Small!", "name", "not usable", "standard"),
    "VPC range malformed": ("10.20.0.0/24", "10.20.0.0/99", "vpc.ip_range", "no range", "10.10.0.0/20"),
    "VPC range with host bits": ("10.20.0.0/24", "10.20.0.1/24", "vpc.ip_range", "host bits", ""),
    "VPC range public": ("10.20.0.0/24", "203.0.113.0/24", "vpc.ip_range", "not private", "10.0.0.0/8"),
    "VPC range too small": ("10.20.0.0/24", "10.20.0.0/29", "vpc.ip_range", "/29", "/16 to /28"),
    "VPC range too large": ("10.20.0.0/24", "10.0.0.0/12", "vpc.ip_range", "/12", "/16 to /28"),
    "VPC overlaps Docker": (
        "10.20.0.0/24",
        "172.17.5.0/24",
        "vpc.ip_range",
        "Docker's own bridge",
        "another",
    ),
    "VPC overlaps an operator": (
        "198.51.100.0/24",
        "10.20.0.0/16",
        "vpc.ip_range",
        "overlaps 10.20",
        "another",
    ),
    "operator malformed": (
        "198.51.100.0/24",
        "198.51.100/24",
        "management.operators[1]",
        "no network",
        "self",
    ),
    "operators everywhere": ("198.51.100.0/24", "0.0.0.0/0", "management.operators[1]", "whole internet", ""),
    "no operators": ("[self, 198.51.100.0/24]", "[]", "management.operators", "nobody could log in", "self"),
    "unknown bastion": (
        "bastion: web",
        "bastion: wev",
        "management.bastion",
        "no droplet",
        "did you mean 'web'",
    ),
    "bastion without address": (
        "web: {}",
        "web: {public_networking: false}",
        "management.bastion",
        "no public",
        "public_networking",
    ),
    "unknown engine": ("engine: pg", "engine: oracle", "databases.store.engine", "unknown engine", "pg"),
    "engine by another name": (
        "engine: pg",
        "engine: postgres",
        "databases.store.engine",
        "unknown",
        "say 'pg'",
    ),
    "redis": ("engine: pg", "engine: redis", "databases.store.engine", "no new Redis", "valkey"),
    "too many database nodes": (
        "engine: pg",
        "engine: pg\n    nodes: 4",
        "databases.store.nodes",
        "1 to 3",
        "",
    ),
    "database nobody trusts": (
        "trusted_sources: [api]",
        "trusted_sources: []",
        "databases.store.trusted_sources",
        "open to anyone",
        "list",
    ),
    "unknown trusted source": (
        "trusted_sources: [api]",
        "trusted_sources: [app]",
        "databases.store.trusted_sources[0]",
        "no droplet",
        "'api'",
    ),
    "trusted source without a use": (
        "trusted_sources: [api]",
        "trusted_sources: [api, web]",
        "databases.store.trusted_sources[1]",
        "nothing from web",
        "take it out",
    ),
    "unknown droplet in a firewall": (
        "droplets: [api]\n    inbound",
        "droplets: [apis]\n    inbound",
        "firewalls.back.droplets[0]",
        "no droplet",
        "'api'",
    ),
    "unknown peer": (
        "from: [web]",
        "from: [wbe]",
        "firewalls.back.inbound[0].from[0]",
        "no droplet",
        "'web'",
    ),
    "database as a peer": (
        "to: [vpc]",
        "to: [store]",
        "firewalls.back.outbound[0].to[0]",
        "cannot name",
        "'vpc'",
    ),
    "rule for nobody": (
        "from: [web]",
        "from: []",
        "firewalls.back.inbound[0].from",
        "nobody",
        "remove the rule",
    ),
    "protocol of its own": (
        WEB_IN,
        WEB_IN.replace("tcp", "esp"),
        "firewalls.front.inbound[0].protocol",
        "'esp'",
        "ESP",
    ),
    "port out of range": (
        WEB_IN,
        WEB_IN.replace("80", "70000"),
        "firewalls.front.inbound[0].ports",
        "1 to 65535",
        "",
    ),
    "port range reversed": (
        WEB_IN,
        WEB_IN.replace("80", "90-80"),
        "firewalls.front.inbound[0].ports",
        "reversed",
        "range",
    ),
    "several ports in a rule": (
        WEB_IN,
        WEB_IN.replace("80", "80,443"),
        "firewalls.front.inbound[0].ports",
        "several",
        "a range",
    ),
    "no ports": (
        WEB_IN,
        "- {protocol: tcp, from: [internet]}",
        "firewalls.front.inbound[0]",
        "no ports",
        "ports",
    ),
    "firewall over nobody": (
        "droplets: [web]\n    inbound",
        "droplets: []\n    inbound",
        "firewalls.front.droplets",
        "covers no",
        "",
    ),
    "too many rules": (
        WEB_IN,
        "\n      ".join([WEB_IN] * 50),
        "firewalls.front",
        "51 rules",
        "two firewalls",
    ),
    "droplet without a firewall": (
        "droplets: [api]\n    inbound",
        "droplets: [api-1]\n    inbound",
        "droplets.api-2",
        "no firewall",
        "inbound: []",
    ),
    "unknown end of a flow": (
        "from: web, to: api",
        "from: web, to: apy",
        "intent[1].to",
        "no droplet",
        "'api'",
    ),
    "database that talks": (
        "from: web, to: api",
        "from: store, to: api",
        "intent[1].from",
        "talks to nobody",
        "",
    ),
    "flow without ports": ("to: web, tcp: [80]", "to: web", "intent[0]", "no port", "tcp: [80]"),
    "flow with a bad port": (
        "to: web, tcp: [80]",
        "to: web, tcp: [0-9]",
        "intent[0].tcp[0]",
        "out of range",
        "",
    ),
    "database on another port": ("tcp: [25060]", "tcp: [5432]", "intent[2]", "25060/tcp", "tcp: [25060]"),
    "flow without the sender's gate": (
        WEB_OUT,
        WEB_OUT.replace("8001", "8000"),
        "intent[1]",
        "no outbound rule of front admits it at the sender",
        '"8001"',
    ),
    "flow without the receiver's gate": (
        API_IN,
        API_IN.replace("-8001", ""),
        "intent[1]",
        "no inbound rule of back admits it at the receiver",
        '"8001"',
    ),
    "flow without the database's trust": (
        "trusted_sources: [api]",
        "trusted_sources: [api-1]",
        "intent[2]",
        "does not trust 'api-2'",
        "trusted_sources",
    ),
    "rule beyond the intent": (
        API_OUT,
        API_OUT.replace("25060", "25060-25061"),
        "firewalls.back.outbound[0]",
        "25061/tcp",
        "narrow",
    ),
    "service on an unknown droplet": (
        "droplets: [web]\n    ports",
        "droplets: [web-1]\n    ports",
        "services.web.droplets[0]",
        "no droplet",
        "'web'",
    ),
    "service nowhere": (
        "droplets: [web]\n    ports",
        "droplets: []\n    ports",
        "services.web.droplets",
        "nowhere",
        "",
    ),
    "service port without a rule": (
        "ports: [80]",
        "ports: [80, 81]",
        "services.web.ports[1]",
        "port 81",
        "inbound",
    ),
    "service port out of range": (
        "ports: [80]",
        "ports: [80, 0]",
        "services.web.ports[1]",
        "out of range",
        "65535",
    ),
    "health that is no URL": (
        "http://127.0.0.1:80/",
        "localhost",
        "services.web.health",
        "no URL",
        "http://",
    ),
    "bad variable": ("API_URL:", "API-URL:", "services.web.environment.API-URL", "cannot be a variable", ""),
    "unknown name in an expression": (
        "nodes['api-1']",
        "nodes['api-9']",
        "services.web.environment.API_URL",
        "api-9",
        "nodes.NAME",
    ),
    "unknown attribute in an expression": (
        "private.uri",
        "private.url",
        "services.api.environment.DATABASE_URL",
        "url",
        "databases.NAME",
    ),
    "bad syntax in an expression": (
        "private.uri }}",
        "private.uri }",
        "services.api.environment.DATABASE_URL",
        "jinja2",
        "",
    ),
    "value that .env cannot carry": (
        "{{ databases.store.private.uri }}",
        "'${x}",
        "services.api.environment.DATABASE_URL",
        "quoting",
        "",
    ),
    "no compose file": (
        "compose: api/docker-compose.yml",
        "compose: api/other.yml",
        "services.api.compose",
        "app/api/other.yml",
        "services.api.compose",
    ),
    "no template": (
        "web/nginx.conf.j2",
        "web/nginx.j2",
        "services.web.files.nginx.conf",
        "no template .*web/nginx.j2",
        "relative",
    ),
    "template outside": (
        "nginx.conf: web",
        "../nginx.conf: web",
        "services.web.files.../nginx.conf",
        "outside",
        "",
    ),
    "template over our own file": ("nginx.conf: web", ".env: web", "services.web.files..env", "itself", ""),
    "no application": ("app: app", "app: nowhere", "app", "no directory", "--app"),
    "unknown front door": ("    node: web", "    node: wep", "checks.front_door.node", "no droplet", "'web'"),
    "unknown word in a request": (
        "{code: source}",
        "{code: program}",
        "checks.front_door.request.code",
        "'program'",
        "source",
    ),
    "unknown word in a reply": (
        "{stdout: output.text}",
        "{out: output.text}",
        "checks.front_door.reply.out",
        "'out'",
        "stdout",
    ),
    "runner that the intent forbids": (
        "  judge0: {node",
        "  runner: {node: web, port: 8000, source: api-1}\n  judge0: {node",
        "checks.runner",
        "'api-1' talk to 'web' on 8000/tcp",
        "intent",
    ),
    "runner on no droplet": (
        "  judge0: {node",
        "  runner: {node: api, port: 8000, source: web}\n  judge0: {node",
        "checks.runner.node",
        "no droplet is called 'api'",
        "api-1",
    ),
    "runner that nobody knows how to ask": (
        "  front_door:\n    node: web\n    path: /run\n    request: {code: source}\n"
        "    reply: {stdout: output.text}\n",
        "  runner: {node: api-1, port: 8000, source: web}\n",
        "checks.runner",
        "how the runner is asked",
        "checks.front_door",
    ),
    "front door that speaks something else": (
        "    path: /run",
        "    path: /run\n    scheme: htps",
        "checks.front_door.scheme",
        "'htps'",
        "'https'",
    ),
    "front door that the internet may not reach": (
        "    path: /run",
        "    path: /run\n    scheme: https",
        "checks.front_door",
        "internet talk to 'web' on 443/tcp",
        "port",
    ),
    "front door on no port": (
        "    path: /run",
        "    path: /run\n    port: 99999",
        "checks.front_door.port",
        "out of range",
        "65535",
    ),
    "server name that is an URL": (
        "    path: /run",
        "    path: /run\n    server_name: https://x.example",
        "checks.front_door.server_name",
        "no host name",
        "code.example.com",
    ),
    "header that is none": (
        "    path: /run",
        "    path: /run\n    headers: {'X Auth': a}",
        "checks.front_door.headers.X Auth",
        "no name of a header",
        "X-Auth-Token",
    ),
    "header that requests have": (
        "    path: /run",
        "    path: /run\n    headers: {host: code.example}",
        "checks.front_door.headers.host",
        "its own host",
        "server_name",
    ),
    "header with an unknown expression": (
        "port: 8000, source: web}",
        "port: 8000, source: web, headers: {X-Auth-Token: '{{ databases.shop.private.password }}'}}",
        "checks.judge0.headers.X-Auth-Token",
        "no attribute 'shop'",
        "databases.NAME",
    ),
    "header of several lines": (
        "port: 8000, source: web}",
        'port: 8000, source: web, headers: {X-Auth-Token: "a\\r\\nX-Other: b"}}',
        "checks.judge0.headers.X-Auth-Token",
        "cannot be sent",
        "one line",
    ),
    "header of a health check": (
        "health: http://127.0.0.1:80/",
        "health: {url: 'http://127.0.0.1:80/', headers: {X-Auth-Token: '{{ nodes.wep.name }}'}}",
        "services.web.health.headers.X-Auth-Token",
        "no attribute 'wep'",
        "nodes.NAME",
    ),
    "health check without a URL": (
        "health: http://127.0.0.1:80/",
        "health: {headers: {X-Auth-Token: a}}",
        "services.web.health.url",
        "'' is no URL",
        "http://127.0.0.1",
    ),
    "unknown language": (
        "    path: /run",
        "    path: /run\n    languages: {pyton: 71, c: 50}",
        "checks.front_door.languages.pyton",
        "no program here is in 'pyton'",
        "'python'",
    ),
    "language without an id": (
        "    path: /run",
        "    path: /run\n    languages: {python: 0}",
        "checks.front_door.languages.python",
        "0 is no id",
        "the application takes",
    ),
    "no language of ours": (
        "    path: /run",
        "    path: /run\n    languages: [62, 72]",
        "checks.front_door.languages",
        "no program here is in any of these",
        "python 71",
    ),
    "languages as words": (
        "    path: /run",
        "    path: /run\n    languages: [python]",
        "checks.front_door.languages",
        "is a list, but should be a mapping",
        "",
    ),
    "unknown status": (
        "    path: /run",
        "    path: /run\n    statuses: {OK: Acepted}",
        "checks.front_door.statuses.OK",
        "none of Judge0's statuses",
        "'Accepted'",
    ),
    "status that Judge0 does not number": (
        "    path: /run",
        "    path: /run\n    statuses: {OK: 99}",
        "checks.front_door.statuses.OK",
        "'99'",
        "1 to 14",
    ),
    "runner's own unknown word": (
        "  judge0: {node",
        "  runner: {node: api-1, port: 8000, source: web, request: {a: program}}\n  judge0: {node",
        "checks.runner.request.a",
        "'program'",
        "source",
    ),
    "request of two methods": (
        "  judge0: {node",
        "  requests: [{get: /a, post: /b}]\n  judge0: {node",
        "checks.requests[0]",
        "it has get and post",
        "get: /api/users",
    ),
    "request of no method": (
        "  judge0: {node",
        "  requests: [{json: 1}]\n  judge0: {node",
        "checks.requests[0]",
        "no method",
        "post",
    ),
    "request of another method": (
        "  judge0: {node",
        "  requests: [{patch: /a}]\n  judge0: {node",
        "checks.requests[0].patch",
        "unknown key",
        "put",
    ),
    "request without a path": (
        "  judge0: {node",
        "  requests: [{get: /a}, {put: users}]\n  judge0: {node",
        "checks.requests[1].put",
        "'users' is no path",
        "/",
    ),
    "request with a wrong expression": (
        "  judge0: {node",
        "  requests: [{post: /a, json: {b: ['{{ nonse }}']}}]\n  judge0: {node",
        "checks.requests[0]",
        "'nonse' is undefined",
        "nonce",
    ),
    "answer of no status": (
        "  judge0: {node",
        "  requests: [{get: /a, expect: 20}]\n  judge0: {node",
        "checks.requests[0].expect",
        "20 is no status",
        "200 to 599",
    ),
    "requests to nobody": (
        "  front_door:\n    node: web\n    path: /run\n    request: {code: source}\n"
        "    reply: {stdout: output.text}\n",
        "  requests: [{get: /a}]\n",
        "checks.requests",
        "where they are sent",
        "checks.front_door",
    ),
    "check that the intent forbids": ("port: 8000", "port: 9000", "checks.judge0", "9000/tcp", "intent"),
}


@pytest.mark.parametrize("case", BROKEN.values(), ids=BROKEN.keys())
def test_a_mistake_is_named_with_its_field_and_a_remedy(load_small: Loader, case: tuple[str, ...]) -> None:
    """One error says where, what, and what would be right."""
    old, new, field, problem, remedy = case
    with pytest.raises(TopologyError) as caught:
        load_small((old, new))
    errors = caught.value.errors if isinstance(caught.value, TopologyErrors) else (caught.value,)
    matching = [each for each in errors if each.field == field]
    assert matching, f"no error for {field}: {caught.value}"
    assert re.search(re.escape(problem).replace(r"\.\*", ".*"), matching[0].problem)
    assert remedy in matching[0].remedy
    assert matching[0].remedy
    assert matching[0].file.endswith("small.yaml")


def test_a_misspelt_key_is_told_once(load_small: Loader) -> None:
    """The key that it was meant to be is not reported as missing as well."""
    with pytest.raises(TopologyError) as caught:
        load_small(("region: fra1", "regoin: fra1"))
    assert "is missing" not in str(caught.value)
    assert "unknown key 'regoin'" in str(caught.value)


def test_a_wrong_type_is_told_in_the_files_own_terms(load_small: Loader) -> None:
    """No class of ours is in the message."""
    with pytest.raises(TopologyError) as caught:
        load_small(("app: app", "app: app\nsecrets: {a: random}"))
    assert "Raw" not in str(caught.value)
