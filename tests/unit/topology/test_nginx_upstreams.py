"""An application's nginx configuration with addresses in the place of names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core import nginx
from harness.core.errors import TopologyError
from harness.topology import Topology
from harness.topology.rendering import projects
from harness.topology.rendering.imagined import imagined
from harness.topology.rendering.upstreams import replaced
from harness.verify.balancer.nginx import parse

FILE = Path("nginx.conf")
CONFIG = """\
# server one:80;
http {
    upstream a {
        least_conn;
        server one:80 weight=3 max_fails=1;  # server one:80
        server two:80
               backup;
        server unix:/run/one.sock;
    }
    upstream b { server one; server onestep:80; server "two:81"; }
    log_format x "upstream a { server one:80; }";
    server { listen 80; server_name one; location / { proxy_pass http://one:80; } }
}
"""


def test_servers_have_addresses_and_all_else_stays() -> None:
    """Ports, parameters, comments, quotes and other names are as before."""
    after = replaced(CONFIG, {"one": ["10.0.0.1"], "two": ["10.0.0.2"]}, FILE)
    changed = [
        (old, new) for old, new in zip(CONFIG.splitlines(), after.splitlines(), strict=True) if old != new
    ]
    assert changed == [
        (
            "        server one:80 weight=3 max_fails=1;  # server one:80",
            "        server 10.0.0.1:80 weight=3 max_fails=1;  # server one:80",
        ),
        ("        server two:80", "        server 10.0.0.2:80"),
        (
            '    upstream b { server one; server onestep:80; server "two:81"; }',
            '    upstream b { server 10.0.0.1; server onestep:80; server "10.0.0.2:81"; }',
        ),
    ]


def test_a_name_of_several_droplets_becomes_several_servers() -> None:
    """With the parameters of the one, as a role has several droplets; checks read them so."""
    after = replaced(CONFIG, {"one": ["10.0.0.1", "10.0.0.3"]}, FILE)
    first, second = (f"        server 10.0.0.{each}:80 weight=3 max_fails=1;" for each in (1, 3))
    assert f"{first}\n{second}  # server one:80\n" in after
    a, b = parse(after)
    assert a.weights == {"10.0.0.1:80": 3, "10.0.0.3:80": 3, "unix:/run/one.sock": 1}
    assert a.spares == ("two:80",)
    assert set(b.weights) == {"10.0.0.1", "10.0.0.3", "onestep:80", "two:81"}


def test_line_ends_stay() -> None:
    """Those of Windows, too."""
    text = "upstream a {\r\n  server one:80;\r\n}\r\n"
    assert replaced(text, {"one": ["10.0.0.1"]}, FILE) == text.replace("one", "10.0.0.1")


@pytest.mark.parametrize(
    "text",
    ["upstream a { server # server one:80;\n one:80; }", 'upstream a { "server" one:80; }'],
    ids=["comment", "quoted"],
)
def test_what_cannot_be_replaced_safely_is_an_error(text: str) -> None:
    """Rather than a comment with an address in it."""
    assert parse(text), "nginx itself takes it"
    with pytest.raises(TopologyError, match="without changing something else") as caught:
        replaced(text, {"one": ["10.0.0.1"]}, FILE)
    assert (caught.value.file, caught.value.line) == ("nginx.conf", 1)


def test_what_nginx_cannot_read_is_an_error_with_its_line() -> None:
    """And without the path of a file of ours."""
    with pytest.raises(TopologyError) as caught:
        replaced("upstream a {\n  server one:80;\n  } }\n", {"one": ["10.0.0.1"]}, FILE)
    assert caught.value.line == 3
    assert "wt-nginx" not in str(caught.value)
    with pytest.raises(nginx.NginxSyntaxError):
        nginx.parse("upstream a {")


OWN = """\
events {}
http {
    upstream judge0 {
        least_conn;
        server app-1:2358 max_fails=3;
        server app-2:2358 max_fails=3;
    }
}
"""
COMPOSE = """\
services:
  lb: {image: nginx, ports: ["8000:80"], volumes: ["./nginx.conf:/etc/nginx/nginx.conf:ro"]}
  app-1: {image: app, container_name: first, ports: ["8000:2358"]}
  app-2: {image: app, ports: ["8000:2358"]}
"""
PORTS = "    ports: [8000, 8001]\n"
RUN = "    ports: [8000]\n    run: {web: [lb], api-1: [app-1], api-2: [app-2]}\n"
API = "    droplets: [api]\n    compose"

Balanced = Callable[[str], Topology]


@pytest.fixture
def balanced(load_small: Callable[..., Topology], directory: Path) -> Balanced:
    """The small topology with a load balancer and two servers from one file, on three droplets."""
    (directory / "app/api/nginx.conf").write_text(OWN)
    (directory / "app/api/docker-compose.yml").write_text(COMPOSE)
    whole = API.replace("[api]", "[web, api]")

    def make(upstreams: str) -> Topology:
        return load_small(
            (API, whole),
            (PORTS, f"{RUN}    upstreams: {upstreams}\n"),
            ("tcp: [8000, 8001]", "tcp: [8000]"),
            ('"8000-8001", to', '"8000", to'),
            ('"8000-8001", from', '"8000", from'),
            (
                'ports: "80", from: [internet]}\n',
                'ports: "80", from: [internet]}\n      - {protocol: tcp, ports: "8000", from: [api]}\n',
            ),
            ("  - {from: api, to: store", "  - {from: api, to: web, tcp: [8000]}\n  - {from: api, to: store"),
            (
                '"25060", to: [vpc]}\n',
                '"25060", to: [vpc]}\n      - {protocol: tcp, ports: "8000", to: [web]}\n',
            ),
        )

    return make


@pytest.mark.parametrize(
    "upstreams", ["nginx.conf", "[nginx.conf]", "{./nginx.conf: {app-1: api-1, app-2: api-2}}"]
)
def test_a_droplet_gets_a_copy_with_its_own_servers(
    balanced: Balanced, directory: Path, upstreams: str
) -> None:
    """Which they are follows from ``run``, or is said; who does not mount the file gets no copy."""
    topology = balanced(upstreams)
    api = topology.services[1]
    files = {node: projects.node_project(topology, imagined(topology), api, node).files for node in api.nodes}
    assert files["web"]["nginx.conf"] == OWN.replace("app-1", "10.0.0.2").replace("app-2", "10.0.0.3")
    assert "nginx.conf" not in {*files["api-1"], *files["api-2"]}
    assert (directory / "app/api/nginx.conf").read_text() == OWN


def test_the_change_is_shown_as_a_diff(balanced: Balanced) -> None:
    """Where an address changes, it is another one."""
    topology = balanced("nginx.conf")
    deployment = imagined(topology)
    (changed,) = projects.changed_files(topology, deployment)
    assert (changed.service, changed.nodes, changed.name) == ("api", ("web",), "nginx.conf")
    assert changed.diff.startswith("--- nginx.conf\n+++ nginx.conf on web\n")
    assert "-        server app-1:2358 max_fails=3;\n" in changed.diff
    assert "+        server 10.0.0.2:2358 max_fails=3;\n" in changed.diff
    nodes = {**deployment.nodes, "api-1": replace(deployment.nodes["api-1"], private_ip="10.0.0.99")}
    (moved,) = projects.changed_files(topology, replace(deployment, nodes=nodes))
    assert "+        server 10.0.0.99:2358 max_fails=3;\n" in moved.diff


@pytest.mark.parametrize(
    ("upstreams", "field", "problem", "remedy"),
    [
        ("nginx.cnf", "nginx.cnf", "there is no ", "did you mean 'nginx.conf'?"),
        (
            "{nginx.conf: {app: api-1}}",
            "nginx.conf.app",
            "no `server` of an upstream in ",
            "known here: app-1, app-2",
        ),
        (
            "{nginx.conf: {app-1: api-3}}",
            "nginx.conf.app-1",
            "no droplet or role is called 'api-3'",
            "known here: api, api-1, api-2",
        ),
        ("../web/nginx.conf", "../web/nginx.conf", "is outside the service's directory", "beside"),
        ("docker-compose.yml", "docker-compose.yml", "is written by Wavetank itself", "environment"),
    ],
    ids=["file", "name", "droplet", "outside", "own"],
)
def test_what_is_not_there_is_named(
    balanced: Balanced, upstreams: str, field: str, problem: str, remedy: str
) -> None:
    """With its place in the topology, and what it could have meant."""
    with pytest.raises(TopologyError) as caught:
        balanced(upstreams)
    assert caught.value.field == f"services.api.upstreams.{field}"
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("mount", "upstreams", "problem", "remedy"),
    [
        ("[]", "{x.conf: {main: api-2}}", "nothing that runs mounts x.conf", "or use `hosts`"),
        (
            "['./x.conf:/x']",
            "x.conf",
            "is a service that `run` puts on another droplet",
            "{x.conf: {main: DROPLET}}",
        ),
    ],
    ids=["mounted", "inferred"],
)
def test_a_copy_that_would_have_no_effect_is_an_error(
    load_small: Callable[..., Topology],
    directory: Path,
    mount: str,
    upstreams: str,
    problem: str,
    remedy: str,
) -> None:
    """It would be believed to have one."""
    (directory / "app/api/x.conf").write_text("upstream a { server main:80; }\n")
    (directory / "app/api/docker-compose.yml").write_text(
        f"services: {{a: {{image: a, volumes: {mount}}}}}\n"
    )
    with pytest.raises(TopologyError) as caught:
        load_small((PORTS, f"{PORTS}    upstreams: {upstreams}\n"))
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


def test_a_file_is_a_template_or_has_its_servers_replaced(load_small: Callable[..., Topology]) -> None:
    """Not both."""
    with pytest.raises(TopologyError, match="is rendered from a template"):
        load_small(("    files:\n", "    upstreams: nginx.conf\n    files:\n"))
