"""Reading topology files: what a good one becomes, and what is said of a bad one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from topology_samples import SMALL

from harness.core.errors import TopologyError, TopologyErrors
from harness.topology import Topology, load
from harness.topology.model import Flow, Rule
from harness.topology.source import read

Loader = Callable[..., Topology]

STANDARD = Path(__file__).parents[3] / "topologies/standard.yaml"
WEB_IN = '- {protocol: tcp, ports: "80", from: [internet]}'
WEB_OUT = '- {protocol: tcp, ports: "8000-8001", to: [api]}'
API_IN = '- {protocol: tcp, ports: "8000-8001", from: [web]}'
API_OUT = '- {protocol: tcp, ports: "25060", to: [vpc]}'


def line_of(text: str, snippet: str) -> int:
    """The line (from 1) that holds the snippet."""
    return text[: text.index(snippet)].count("\n") + 1


def test_roles_stand_for_their_droplets(load_small: Loader) -> None:
    """Everything that names a role holds its droplets afterwards."""
    topology = load_small()
    assert topology.databases["store"].trusted_sources == ("api-1", "api-2")
    assert topology.firewalls[0].outbound == (Rule("tcp", "8000-8001", ("api-1", "api-2")),)
    assert topology.firewalls[1].droplets == ("api-1", "api-2")
    assert topology.services[1].nodes == ("api-1", "api-2")
    assert Flow("web", "api-2", "tcp", "8001") in topology.intent


def test_defaults_fill_what_droplets_leave_out(load_small: Loader) -> None:
    """A droplet's own value wins over the default, and its role is its name unless it says so."""
    topology = load_small(("web: {}", "web: {size: big, user_data: '#!/bin/sh'}"))
    assert (topology.droplets["web"].size, topology.droplets["web"].user_data) == ("big", "#!/bin/sh")
    assert topology.droplets["api-1"].size == "s-1vcpu-1gb"
    assert (topology.droplets["web"].role, topology.droplets["api-1"].role) == ("web", "api")


def test_a_droplet_may_be_left_empty(load_small: Loader) -> None:
    """``web:`` without anything is a droplet with the defaults."""
    assert load_small(("web: {}", "web:")).droplets["web"].public_networking


def test_app_takes_the_place_of_the_topologys_own(load_small: Loader, tmp_path: Path) -> None:
    """Compose files and templates are looked for in the given directory."""
    other = tmp_path / "mine"
    (tmp_path / "app").rename(other)
    topology = load_small(app=other)
    assert topology.app == other
    assert topology.services[0].compose == other / "web/docker-compose.yml"


def test_a_services_compose_file_is_found_by_its_usual_names(load_small: Loader, tmp_path: Path) -> None:
    """Without ``compose`` the directory of the service's name is searched."""
    (tmp_path / "app/web/docker-compose.yml").rename(tmp_path / "app/web/compose.yaml")
    assert load_small().services[0].compose.name == "compose.yaml"


def test_an_error_points_at_its_line(load_small: Loader) -> None:
    """The line is the one of the key or item in the file."""
    with pytest.raises(TopologyError, match=r"small\.yaml:") as caught:
        load_small(("from: [web]", "from: [wbe]"))
    assert caught.value.line == line_of(SMALL, API_IN)


def test_a_key_that_came_by_a_merge_is_found(load_small: Loader) -> None:
    """Lines of what ``<<`` brings in are those where it is written."""
    merged = "  api-2: &base {size: s-1vcpu-1gb, rolle: x}\n  other: {<<: *base}"
    with pytest.raises(TopologyErrors) as caught:
        load_small(("  api-2: {role: api}", merged))
    assert {each.line for each in caught.value.errors} == {line_of(SMALL, "api-2")}


def test_independent_mistakes_are_reported_together(load_small: Loader) -> None:
    """Everything that is wrong comes in one report, in the order of the file."""
    with pytest.raises(TopologyErrors) as caught:
        load_small(
            ("engine: pg", "engine: redis"), ("from: [web]", "from: [wbe]"), ("bastion: web", "bastion: w")
        )
    assert [each.field for each in caught.value.errors] == [
        "databases.store.engine",
        "management.bastion",
        "firewalls.back.inbound[0].from[0]",
    ]
    assert str(caught.value).count("remedy:") == 3
    assert caught.value.field == "databases.store.engine"


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        ("", "empty", None),
        ("# nothing\n", "empty", None),
        ("a: [1\nb: 2\n", "not YAML", 2),
        ("a: 1\n---\nb: 2\n", "not YAML", 2),
        ("a:\n\t- b\n", "not YAML", 2),
        ("- a\n", "not a mapping", 1),
        ("schema: x\nschema: y\n", "given twice", 2),
    ],
)
def test_what_is_no_topology_is_refused(tmp_path: Path, text: str, problem: str, line: int | None) -> None:
    """Files of another kind get an error of their own, with a line where there is one."""
    file = tmp_path / "x.yaml"
    file.write_text(text)
    with pytest.raises(TopologyError, match=problem) as caught:
        load(file)
    assert caught.value.line == line


def test_duplicate_keys_are_refused_at_any_depth(load_small: Loader) -> None:
    """The second ``web`` would silently win otherwise."""
    with pytest.raises(TopologyError, match="given twice") as caught:
        load_small(("  api-1: {role: api}", "  web: {role: api}"))
    assert caught.value.field == "droplets.web"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing file and one that is not text say so."""
    with pytest.raises(TopologyError, match=r"none\.yaml: cannot be read: No such file"):
        load(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TopologyError, match="not UTF-8"):
        load(tmp_path / "binary.yaml")


def test_a_service_port_claimed_twice_on_a_droplet_is_refused(load_small: Loader) -> None:
    """Two services of one droplet cannot listen on one port."""
    second = "services:\n  second: {droplets: [api-2], ports: [8000], compose: api/docker-compose.yml}\n"
    with pytest.raises(TopologyError, match="port 8000 of 'api-2' is already taken by service 'second'"):
        load_small(("services:\n", second))


def test_a_flow_from_outside_needs_a_public_address(load_small: Loader) -> None:
    """A droplet without a public interface cannot be meant to be reached from the internet."""
    with pytest.raises(TopologyError, match="'api-1' has no public interface"):
        load_small(
            ("api-1: {role: api}", "api-1: {role: api, public_networking: false}"),
            ("intent:\n", "intent:\n  - {from: internet, to: api, tcp: [8000]}\n"),
            (API_IN, API_IN.replace("[web]", "[web, internet]")),
        )


def test_wide_rules_that_meet_are_noticed(load_small: Loader) -> None:
    """``internet`` takes in the droplets' own addresses: two rules meant for others meet.

    That is one mistake, however many pairs of droplets it is.
    """
    pairs = r"it admits api-1 -> web 80/tcp, api-2 -> web 80/tcp, which the intent does not"
    with pytest.raises(TopologyError, match=pairs) as caught:
        load_small(
            (API_OUT, f'{API_OUT}\n      - {{protocol: tcp, ports: "80", to: [internet]}}'),
            ("intent:\n", "intent:\n  - {from: api, to: internet, tcp: [80]}\n"),
        )
    assert not isinstance(caught.value, TopologyErrors), caught.value


def test_a_template_error_names_the_templates_line(load_small: Loader, tmp_path: Path) -> None:
    """Undefined names and bad syntax point into the template, not into the topology."""
    template = tmp_path / "app/web/nginx.conf.j2"
    for text, problem in (("a\n{{ nodes.gone.private_ip }}\n", "gone"), ("a\n{% for %}\n", "jinja2")):
        template.write_text(text)
        with pytest.raises(TopologyError, match=problem) as caught:
            load_small()
        assert (caught.value.file, caught.value.line) == (str(template), 2)


def test_an_unusable_compose_file_is_found_at_load(load_small: Loader, tmp_path: Path) -> None:
    """Before anything is provisioned, the deployer's work is tried."""
    (tmp_path / "app/api/docker-compose.yml").write_text("services: [")
    with pytest.raises(TopologyError, match="not YAML") as caught:
        load_small()
    assert caught.value.file.endswith("app/api/docker-compose.yml")


def test_an_address_that_a_droplet_lacks_is_noticed(load_small: Loader) -> None:
    """Rendering ``None`` into a URL helps nobody."""
    with pytest.raises(TopologyError, match="no such address"):
        load_small(
            ("api-1: {role: api}", "api-1: {role: api, public_networking: false}"),
            ("nodes['api-1'].private_ip", "nodes['api-1'].public_ip"),
        )


def test_the_standard_topology_is_the_plans(stand_in_app: Path) -> None:
    """Seven droplets, three databases, and every one of the plan's flows."""
    topology = load(STANDARD, app=stand_in_app)
    assert list(topology.droplets) == [
        "client",
        "runner",
        "judge0-lb",
        "server-1",
        "server-2",
        "worker-1",
        "worker-2",
    ]
    assert {each.engine for each in topology.databases.values()} == {"mongodb", "pg", "valkey"}
    assert Flow("judge0-lb", "server-2", "tcp", "2358") in topology.intent
    assert {each.image for each in topology.droplets.values()} == {"ubuntu-24-04-x64"}


@pytest.fixture
def stand_in_app(tmp_path: Path) -> Path:
    """An application with a compose file for each of the standard topology's services."""
    for name in ("client", "runner", "judge0-lb", "judge0-server", "judge0-worker"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "docker-compose.yml").write_text("services: {main: {image: example}}\n")
    (tmp_path / "judge0-lb/nginx.conf.j2").write_text("")
    return tmp_path


def test_a_file_that_is_read_again_is_as_it_is_now(tmp_path: Path) -> None:
    """One reader may change what it got; another one sees the file, and its changes."""
    file = tmp_path / "t.yaml"
    file.write_text("a: {b: [1]}\n")
    first = read(file)
    first.data["a"]["b"].append(2)
    assert read(file).data == {"a": {"b": [1]}}
    file.write_text("a: {b: [3]}\n")
    assert read(file).data == {"a": {"b": [3]}}
