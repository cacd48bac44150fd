"""What a topology changes of compose files that it does not edit, as Compose understands the result."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.core.errors import TopologyError
from harness.topology import Topology, load
from harness.topology.model import BuildChange, Changes, Service
from harness.topology.rendering import projects
from harness.topology.rendering.imagined import imagined

PROJECT = Path(__file__).parents[3]
Body = Mapping[str, Any]


@pytest.fixture(scope="module")
def editor() -> Topology:
    """A repository as its authors run it on one machine, on seven droplets."""
    return load(PROJECT / "tests/apps/editor.yaml")


def on(topology: Topology, name: str, node: str) -> projects.NodeProject:
    """A service on a node."""
    service = next(each for each in topology.services if each.name == name)
    return projects.node_project(topology, imagined(topology), service, node)


def published(body: Body) -> set[tuple[str, int]]:
    """The ports of a service: on the node, and in the container."""
    return {(each.get("published", ""), each["target"]) for each in body.get("ports", ())}


def test_one_file_is_spread_over_droplets(editor: Topology) -> None:
    """On each there is what the topology puts there, and nothing waits for what is elsewhere."""
    found = {node: on(editor, "judge0", node).project for node in ("judge0-lb", "server-1", "server-2")}
    assert {node: each.started for node, each in found.items()} == {
        "judge0-lb": ("judge0-lb",),
        "server-1": ("judge0-server-1",),
        "server-2": ("judge0-server-2",),
    }
    assert "depends_on" not in found["judge0-lb"].running()["judge0-lb"]


def test_names_of_services_on_other_droplets_lead_there(editor: Topology) -> None:
    """nginx.conf stays as it is, and finds its servers."""
    found = on(editor, "judge0", "judge0-lb").project
    names = found.running()["judge0-lb"]["extra_hosts"]
    assert {"judge0-server-1=10.0.0.4", "judge0-server-2=10.0.0.5"} == set(names)


def test_a_declared_port_is_published_by_the_one_that_runs_there(editor: Topology) -> None:
    """The balancer only exposes it, the servers say nothing of it."""
    for node, name in (("judge0-lb", "judge0-lb"), ("server-1", "judge0-server-1")):
        assert published(on(editor, "judge0", node).project.running()[name]) == {("2358", 2358)}
    client = on(editor, "client", "client").project.running()["code-client"]
    assert published(client) == {("80", 3000)}, "what the topology publishes takes the place of the file's"


def test_values_that_are_written_out_are_replaced(editor: Topology) -> None:
    """Of the services that have them, and of no other; a name that none has goes to those that run."""
    server = on(editor, "judge0", "server-1").project.running()["judge0-server-1"]["environment"]
    assert (server["POSTGRES_HOST"], server["AUTHN_TOKEN"]) == ("db.example", "secret")
    runner = on(editor, "runner", "runner").project.running()
    assert runner["runner-api"]["environment"]["JUDGE0_URL"] == "http://10.0.0.3:2358"
    assert runner["runner-api"]["environment"]["PORT"] == "5000"
    assert "environment" not in runner["runner-lb"]
    balancer = on(editor, "judge0", "judge0-lb").project.running()["judge0-lb"]["environment"]
    assert set(balancer) == {"POSTGRES_CA_FILE", "REDIS_CA_FILE"}, "the servers' passwords are theirs alone"
    client = on(editor, "client", "client").project.running()["code-client"]["environment"]
    assert client["CODE_RUNNER_SERVICE_URL"] == "http://10.0.0.2:4000"


def test_an_image_is_built_as_the_topology_says(editor: Topology) -> None:
    """And what mounted the source code over it is gone."""
    client = on(editor, "client", "client").project.running()["code-client"]
    assert (client["build"]["dockerfile"], client["build"]["target"]) == ("Dockerfile", "production")
    assert [each["source"] for each in client["volumes"]] == ["./mongo-ca.pem"]


def test_the_repository_is_left_alone_and_passwords_are_private(editor: Topology) -> None:
    """All changes are in files of their own."""
    found = on(editor, "judge0", "server-1")
    assert set(found.files) >= set(projects.CHANGES)
    assert "postgres" in found.files["docker-compose.yml"]
    assert "db.example" not in found.files["docker-compose.yml"]


Change = Callable[..., projects.NodeProject]
ChangePorts = Callable[..., projects.NodeProject]


@pytest.fixture
def changed(load_small: Callable[..., Topology], directory: Path) -> Change:
    """The small topology's ``api`` on ``api-1``, with another compose file and with changes."""

    def make(text: str, changes: Changes, *, environment: Mapping[str, str] | None = None) -> Any:
        topology = load_small()
        (directory / "app/api/docker-compose.yml").write_text(text)
        service: Service = next(each for each in topology.services if each.name == "api")
        altered = replace(service, changes=changes, ports=(), environment=environment or {})
        return projects.node_project(topology, imagined(topology), altered, "api-1")

    return make


@pytest.fixture
def changed_ports(load_small: Callable[..., Topology], directory: Path) -> ChangePorts:
    """The small topology's ``api`` on ``api-1``, with another compose file and these ports."""

    def make(text: str, *ports: int) -> projects.NodeProject:
        topology = load_small()
        (directory / "app/api/docker-compose.yml").write_text(text)
        service = next(each for each in topology.services if each.name == "api")
        altered = replace(service, changes=Changes(), ports=ports, environment={})
        return projects.node_project(topology, imagined(topology), altered, "api-1")

    return make


def test_a_variable_that_the_file_itself_uses_is_not_given_to_all(changed: Change) -> None:
    """``${TAG}`` is Compose's; the containers need it as little as before."""
    text = "services: {a: {image: 'a:${TAG}'}, b: {image: b, environment: [X=1]}}"
    found = changed(text, Changes(), environment={"TAG": "2", "X": "3", "NEW": "4"}).project.running()
    assert found["a"]["image"] == "a:2"
    assert found["a"]["environment"] == {"NEW": "4"}
    assert found["b"]["environment"] == {"X": "3", "NEW": "4"}


def test_variables_of_one_service(changed: Change) -> None:
    """They win over those of all."""
    changes = Changes(environment={"a": {"X": "one"}})
    found = changed("services: {a: {image: a}, b: {image: b}}", changes, environment={"X": "all"})
    bodies = found.project.running()
    assert (bodies["a"]["environment"]["X"], bodies["b"]["environment"]["X"]) == ("one", "all")


@pytest.mark.parametrize("value", ["a$b", "${HOME}", "$$", "a#b 'c' \"d\"", "yes", "1:2", "0123"])
def test_a_value_arrives_as_it_is(changed: Change, value: str) -> None:
    """Neither Compose nor YAML reads anything into it."""
    changes = Changes(environment={"a": {"X": "{{ '" + value.replace("'", "\\'") + "' }}"}})
    found = changed("services: {a: {image: a, environment: {X: old}}}", changes)
    assert found.project.running()["a"]["environment"]["X"] == value


def test_a_service_behind_a_profile_can_be_chosen(changed: Change) -> None:
    """The others of the file have no container then."""
    changes = Changes(run={"api-1": ("b",), "api-2": ("a",)})
    found = changed("services: {a: {image: a}, b: {image: b, profiles: [debug]}}", changes)
    assert found.project.started == ("b",)


def test_several_files_are_merged_in_their_order(changed: Change, directory: Path) -> None:
    """As with ``docker compose -f``; the further ones lie on the node too, without networks."""
    more = directory / "app/api/production.yml"
    more.write_text("services: {a: {command: [two], networks: [back]}}\nnetworks: {back: {external: true}}\n")
    found = changed("services: {a: {image: a, command: [one]}}", Changes(compose_files=(more,)))
    assert found.project.running()["a"]["command"] == ["two"]
    assert "./production.yml" in found.project.compose_files


def test_override_has_the_last_word(changed: Change) -> None:
    """Also over what other keys say."""
    changes = Changes(
        environment={"a": {"X": "one"}}, override={"services": {"a": {"environment": {"X": "two"}}}}
    )
    found = changed("services: {a: {image: a}}", changes)
    assert found.project.running()["a"]["environment"]["X"] == "two"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        (Changes(run={"api-1": ("aa",), "api-2": ("a",)}), "services.api.run"),
        (Changes(environment={"aa": {"X": "1"}}), "services.api.environment"),
        (Changes(publish={"aa": ("1:1",)}), "services.api.publish"),
        (Changes(build={"aa": BuildChange(target="x")}), "services.api.build"),
    ],
    ids=["run", "environment", "publish", "build"],
)
def test_a_service_that_the_file_does_not_have_is_named(
    changed: Change, changes: Changes, field: str
) -> None:
    """With what it could have meant."""
    with pytest.raises(TopologyError) as caught:
        changed("services: {a: {image: a}, other: {image: b}}", changes)
    assert caught.value.field == field
    assert "has no service 'aa'" in caught.value.problem
    assert "did you mean 'a'" in caught.value.remedy


def test_a_port_that_nothing_publishes_is_an_error(
    load_small: Callable[..., Topology], directory: Path
) -> None:
    """Where it cannot be known which of two services is meant."""
    (directory / "app/api/docker-compose.yml").write_text("services: {a: {image: a}, b: {image: b}}\n")
    with pytest.raises(TopologyError) as caught:
        load_small()
    assert caught.value.field == "services.api.ports"
    assert "nothing on api-1 publishes it" in caught.value.problem
    assert "publish:" in caught.value.remedy


def test_a_port_in_the_place_of_which_another_is_published_is_an_error(changed_ports: ChangePorts) -> None:
    """A container that listens on 3000 does not answer on 80: that is said before anything is made."""
    with pytest.raises(TopologyError) as caught:
        changed_ports("services: {a: {image: a, ports: ['3000:3000']}}", 80)
    assert caught.value.field == "services.api.ports"
    assert "80: nothing on api-1 publishes it: a publishes 3000" in caught.value.problem
    assert 'publish: {a: ["80:3000"]}' in caught.value.remedy


@pytest.mark.parametrize("given", ["'3000'", "{target: 3000}"])
def test_a_port_that_is_published_anywhere_is_one_that_it_listens_on(
    changed_ports: ChangePorts, given: str
) -> None:
    """Docker takes any free port for it, so it is published at the declared one, too."""
    found = changed_ports(f"services: {{a: {{image: a, ports: [{given}]}}}}", 3000)
    assert ("3000", 3000) in published(found.project.running()["a"])


def test_a_port_that_is_published_anywhere_is_named_where_another_is_declared(
    changed_ports: ChangePorts,
) -> None:
    """A container that listens on 3000 only does not answer on 80."""
    with pytest.raises(TopologyError, match="80: nothing on api-1 publishes it: a publishes 3000"):
        changed_ports("services: {a: {image: a, ports: ['3000']}}", 80)


@pytest.mark.parametrize("ports", [(80, 3000), (3000, 80)])
def test_a_port_beside_a_published_one_is_published(changed_ports: ChangePorts, ports: Sequence[int]) -> None:
    """Where the topology declares both, the container listens on both."""
    found = changed_ports("services: {a: {image: a, ports: ['3000:3000']}}", *ports)
    assert published(found.project.running()["a"]) == {("80", 80), ("3000", 3000)}


def test_a_port_of_a_range_is_published_and_one_of_udp_is_not(changed_ports: ChangePorts) -> None:
    """A declared port is one of TCP."""
    one_of_many = "services: {a: {image: a, ports: [{target: 80, published: '8000-8009'}]}}"
    assert published(changed_ports(one_of_many, 8004).project.running()["a"]) == {("8000-8009", 80)}
    found = changed_ports("services: {a: {image: a, ports: ['53:53/udp']}}", 53)
    kinds = {(each["published"], each["protocol"]) for each in found.project.running()["a"]["ports"]}
    assert kinds == {("53", "udp"), ("53", "tcp")}


def test_what_no_longer_runs_is_unknown_to_compose(editor: Topology) -> None:
    """So ``--remove-orphans`` removes a container that ran before; a profile would have left it alone."""
    for node in ("judge0-lb", "server-1"):
        found = on(editor, "judge0", node).project
        assert set(found.services) == set(found.started)


def test_a_variable_in_a_comment_is_not_used(changed: Change) -> None:
    """What only a comment mentions goes to the containers like any other variable."""
    text = "# see ${MODE} below\nservices: {a: {image: a}}"
    found = changed(text, Changes(), environment={"MODE": "on"})
    assert found.project.running()["a"]["environment"] == {"MODE": "on"}


def test_names_win_over_the_files_own_hosts(changed: Change) -> None:
    """One address each; other hosts of the file stay, and who shares another's network has its hosts."""
    text = (
        "services: {a: {image: a, extra_hosts: ['db:9.9.9.9', 'own:1.1.1.1']},"
        " b: {image: b, network_mode: 'service:a'}}"
    )
    found = changed(text, Changes(hosts={"db": ("api-2",)})).project.running()
    assert set(found["a"]["extra_hosts"]) == {"db=10.0.0.3", "own=1.1.1.1"}
    assert "extra_hosts" not in found["b"]


def test_an_image_that_differs_from_droplet_to_droplet_is_an_error(changed: Change) -> None:
    """One is built for all of a service's droplets."""
    text = "services: {a: {image: 'a:${TAG}'}}"
    found = [changed(text, Changes(), environment={"TAG": tag}).project for tag in ("one", "two")]
    with pytest.raises(TopologyError, match="another one on another droplet"):
        projects.everywhere(found)
    assert projects.everywhere(found[:1]).started == ("a",)


CADDY = {
    "image": "caddy:2",
    "ports": ["443:443"],
    "environment": {"UPSTREAM": "{{ nodes.web.private_ip }}:8000"},
    "volumes": ["./conf/Caddyfile:/etc/caddy/Caddyfile:ro"],
}


def test_a_service_is_added_beside_the_applications_own(changed: Change) -> None:
    """With expressions, and whatever it mounts; variables of the application are no matter of its."""
    text = "services: {a: {image: a}}"
    found = changed(text, Changes(add={"caddy": CADDY}), environment={"PASSWORD": "secret"}).project
    assert found.started == ("a", "caddy")
    assert found.running()["caddy"]["environment"] == {"UPSTREAM": "10.0.0.1:8000"}
    assert found.running()["a"]["environment"] == {"PASSWORD": "secret"}
    assert "./conf/Caddyfile" in found.paths()


@pytest.mark.parametrize(
    ("here", "there", "started"),
    [
        (["a"], ["b"], ("a", "caddy")),
        (["a", "caddy"], ["b"], ("a", "caddy")),
        (["a"], ["b", "caddy"], ("a",)),
    ],
    ids=["everywhere", "here", "elsewhere"],
)
def test_what_is_added_runs_where_run_says(
    changed: Change, here: list[str], there: list[str], started: tuple[str, ...]
) -> None:
    """On all droplets, unless it is named: then on those that name it."""
    changes = Changes(run={"api-1": tuple(here), "api-2": tuple(there)}, add={"caddy": CADDY})
    found = changed("services: {a: {image: a}, b: {image: b}}", changes).project
    assert found.started == started
    assert set(found.services) == set(started)


def test_a_port_of_the_application_is_not_taken_for_one_of_what_is_added(
    load_small: Callable[..., Topology], directory: Path
) -> None:
    """The application's only service is still the one that is meant."""
    (directory / "app/api/docker-compose.yml").write_text("services: {a: {image: a}}\n")
    topology = load_small(
        ("    ports: [8000, 8001]\n", "    ports: [8000, 8001]\n    add: {b: {image: b}}\n")
    )
    api = topology.services[1]
    bodies = projects.node_project(topology, imagined(topology), api, "api-1").project.running()
    assert published(bodies["a"]) == {("8000", 8000), ("8001", 8001)}
    assert "ports" not in bodies["b"]


def test_what_is_added_can_be_changed_like_the_rest(changed: Change) -> None:
    """It knows the names of other droplets, too."""
    changes = Changes(
        add={"caddy": CADDY},
        environment={"caddy": {"LOG": "on"}},
        hosts={"api": ("api-2",)},
        override={"services": {"caddy": {"restart": "always"}}},
    )
    body = changed("services: {a: {image: a}}", changes).project.running()["caddy"]
    assert body["environment"] == {"UPSTREAM": "10.0.0.1:8000", "LOG": "on"}
    assert (body["extra_hosts"], body["restart"]) == (["api=10.0.0.3"], "always")


def test_a_declared_port_may_be_what_an_added_service_publishes(
    load_small: Callable[..., Topology], directory: Path
) -> None:
    """Then the application's own need not publish it."""
    (directory / "app/api/docker-compose.yml").write_text("services: {a: {image: a}}\n")
    added = "    add:\n      b: {image: b, ports: ['8000:80', '8001:81']}\n"
    topology = load_small(("    ports: [8000, 8001]\n", "    ports: [8000, 8001]\n" + added))
    bodies = projects.node_project(
        topology, imagined(topology), topology.services[1], "api-1"
    ).project.running()
    assert "ports" not in bodies["a"]
    assert published(bodies["b"]) == {("8000", 80), ("8001", 81)}


@pytest.mark.parametrize(
    ("add", "field", "problem", "remedy"),
    [
        ({"a": CADDY}, "services.api.add.a", "has a service 'a' already", "override: {services: {a: ...}}"),
        (
            {"b": {"image": "b", "networks": ["x"]}},
            "services.api.add.b.networks",
            "there are no networks",
            "leave",
        ),
        ({"b": {"image": "{{ nope }}"}}, "services.api.add.b.image", "'nope' is undefined", "nodes.NAME"),
        ({"b": {}}, "services.b", "neither an image nor a build context", "correct"),
    ],
    ids=["name", "networks", "expression", "image"],
)
def test_what_cannot_be_added_is_an_error(
    changed: Change, add: Mapping[str, Any], field: str, problem: str, remedy: str
) -> None:
    """With its place, and what to do."""
    with pytest.raises(TopologyError) as caught:
        changed("services: {a: {image: a}}", Changes(add=add))
    assert caught.value.field == field
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    "override",
    [{"networks": {"x": {}}}, {"services": {"a": {"networks": ["x"]}}}],
    ids=["top", "service"],
)
def test_networks_cannot_be_named(changed: Change, override: Mapping[str, Any]) -> None:
    """They are taken out of the files, so Compose would find none on the node."""
    with pytest.raises(TopologyError, match="there are no networks on a node"):
        changed("services: {a: {image: a}}", Changes(override=override))


def test_a_second_file_cannot_have_the_firsts_name_on_the_node(
    load_small: Callable[..., Topology], directory: Path
) -> None:
    """It would be lost there."""
    topology = load_small()
    first, second = directory / "app/api/base.yml", directory / "app/api/docker-compose.yml"
    first.write_text("services: {a: {image: a}}\n")
    service = Service("api", ("api-1",), first, (), {}, (), "", changes=Changes((second,)))
    with pytest.raises(TopologyError, match=r"the first compose file is called docker-compose\.yml"):
        projects.node_project(topology, imagined(topology), service, "api-1")


def test_a_number_that_compose_takes_for_octal_is_an_error(load_small: Callable[..., Topology]) -> None:
    """YAML 1.2 takes it for decimal: a mode of 0440 would be another one."""
    with pytest.raises(TopologyError, match="0440 is octal for Docker Compose: write 288"):
        load_small(("app: app", "app: app\nsecrets: {a: {file: 0440}}"))
