"""What a node gets of a service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.core.errors import TopologyError
from harness.topology import Topology
from harness.topology.rendering.bounded import BUDGET, Bounded
from harness.topology.rendering.imagined import imagined
from harness.topology.rendering.render import ExpressionError, evaluate, render_service, render_stack_service

Loader = Callable[..., Topology]


@pytest.fixture
def rendered(load_small: Loader) -> Callable[[str, str], dict[str, str]]:
    """Render a service of the small topology for a node; the store's password is awkward."""
    topology = load_small()
    deployment = imagined(topology)
    store = deployment.databases["store"]
    private = replace(store.private, uri="pg://doadmin:p$w#d@host/db")
    nodes = {name: replace(node, private_ip=f"10.20.0.{node.id}") for name, node in deployment.nodes.items()}
    deployment = replace(deployment, nodes=nodes, databases={"store": replace(store, private=private)})
    services = {each.name: each for each in topology.services}
    return lambda service, node: render_service(topology, deployment, services[service], node)


def test_a_node_gets_compose_environment_templates_and_certificates(
    rendered: Callable[[str, str], dict[str, str]],
) -> None:
    """And nothing that is not its own: web does not use the database, so it gets no certificate."""
    assert set(rendered("web", "web")) == {"docker-compose.yml", ".env", "nginx.conf"}
    assert set(rendered("api", "api-2")) == {"docker-compose.yml", ".env", "store-ca.pem"}


def test_addresses_and_credentials_are_filled_in(rendered: Callable[[str, str], dict[str, str]]) -> None:
    """Expressions see the nodes' addresses and the databases' private endpoints."""
    assert rendered("web", "web")[".env"] == "API_URL=http://10.20.0.2:8000\n"
    assert rendered("api", "api-1")[".env"] == "DATABASE_URL='pg://doadmin:p$w#d@host/db'\n"


def test_a_template_lists_a_roles_nodes(rendered: Callable[[str, str], dict[str, str]]) -> None:
    """The upstream of a load balancer, one line a node, block tags leaving no trace."""
    assert rendered("web", "web")["nginx.conf"] == (
        "upstream api {\n    server 10.20.0.2:8000;\n    server 10.20.0.3:8000;\n}\n"
    )


def test_the_compose_file_comes_without_networks(rendered: Callable[[str, str], dict[str, str]]) -> None:
    """The plan's step 2."""
    assert rendered("api", "api-1")["docker-compose.yml"] == "services:\n  main:\n    image: example\n"


@pytest.mark.parametrize("name", [".env", ".env.example"])
def test_the_applications_own_variables_are_kept(load_small: Loader, directory: Path, name: str) -> None:
    """What the application's file says and the topology doesn't give reaches the node."""
    (directory / "app/api" / name).write_text("# limits\nMAX=5\nDATABASE_URL=postgres://local\n")
    topology = load_small()
    text = render_service(topology, imagined(topology), topology.services[1], "api-1")[".env"]
    assert text == "# limits\nMAX=5\nDATABASE_URL=pg://doadmin:secret@db.example:25060/defaultdb\n"


def test_a_value_that_no_env_file_can_carry_is_an_error(load_small: Loader) -> None:
    """It names the variable, not the password."""
    topology = load_small()
    deployment = imagined(topology)
    store = deployment.databases["store"]
    awkward = replace(store, private=replace(store.private, uri="pg://it's ${s3cret}"))
    broken = replace(deployment, databases={"store": awkward})
    with pytest.raises(TopologyError, match=r"services\.api\.environment\.DATABASE_URL") as caught:
        render_service(topology, broken, topology.services[1], "api-1")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["{{ missing }}", "{{ role('none') }}", "{{ 1 / 0 }}", "{{ none }}", "{{ 1 + 'a' }}", "{%"]
)
def test_an_expression_that_fails_is_an_error(load_small: Loader, text: str) -> None:
    """Nothing is rendered as an empty string by mistake."""
    topology = load_small()
    from harness.topology.rendering.render import make_context

    with pytest.raises(ExpressionError):
        evaluate(text, make_context(topology, imagined(topology), "web"))


def test_a_stacks_service_keeps_its_compose_file_and_gets_values_and_files(
    load_swarm: Loader, directory: Path
) -> None:
    """The file as written, networks too; the application's own variables; the CA of a database it may use."""
    (directory / "app/api/.env.example").write_text(
        "# limits\nMAX=5 # tasks\nDATABASE_URL=postgres://local\n"
    )
    topology = load_swarm()
    assert topology.swarm is not None
    web, api = (render_stack_service(topology, imagined(topology), each) for each in topology.swarm.services)
    assert api.text == (directory / "app/api/docker-compose.yml").read_text()
    assert api.environment == {"MAX": "5", "DATABASE_URL": "pg://doadmin:secret@db.example:25060/defaultdb"}
    assert api.files == {"store-ca.pem": "pem"}
    assert (web.environment, set(web.files)) == ({"API_URL": "http://api:8000"}, {"nginx.conf"})
    assert "secret" not in repr(api)


def test_a_stacks_values_need_no_env_file(load_swarm: Loader) -> None:
    """What no ``.env`` could carry is fine where there is none."""
    topology = load_swarm(("http://api:8000", "'${awkward}"))
    assert topology.swarm is not None
    assert render_stack_service(topology, imagined(topology), topology.swarm.services[0]).environment == {
        "API_URL": "'${awkward}"
    }


def test_a_stacks_certificates_are_those_of_any_of_its_droplets(load_swarm: Loader) -> None:
    """A task may run on a droplet that is trusted, whatever the others are."""
    topology = load_swarm()
    assert topology.swarm is not None
    everywhere = replace(topology.swarm.services[0], nodes=("web", "api-1"))
    assert set(render_stack_service(topology, imagined(topology), everywhere).files) == {
        "nginx.conf",
        "store-ca.pem",
    }


@pytest.mark.parametrize("text", ["{{ node.private_ip }}", "{{ node }}", "{{ nodes[node.name].id }}"])
def test_a_stack_has_no_node_of_its_own(load_swarm: Loader, directory: Path, text: str) -> None:
    """Neither in a value nor in a template; the error says why and what instead."""
    topology = load_swarm()
    assert topology.swarm is not None
    service = replace(topology.swarm.services[0], environment={"WHERE": text})
    with pytest.raises(TopologyError, match=r"swarm\.services\.web\.environment\.WHERE.*any of its droplets"):
        render_stack_service(topology, imagined(topology), service)
    (directory / "app/web/nginx.conf.j2").write_text(f"first\n{text}\n")
    with pytest.raises(TopologyError, match="any of its droplets") as caught:
        load_swarm()
    assert (Path(caught.value.file).name, caught.value.line) == ("nginx.conf.j2", 2)


def test_a_template_that_was_compiled_before_means_what_it_meant() -> None:
    """In a compose file a dollar sign is doubled, elsewhere not, whichever came first."""
    values = {"secret": "a$b"}
    for _ in range(2):
        assert evaluate("{{ secret }}", values) == "a$b"
        assert evaluate("{{ secret }}", values, compose=True) == "a$$b"
        assert evaluate("{{ secret }}", {"secret": "c"}) == "c"


@pytest.mark.parametrize(
    "text", ["a\n{{ missing }}", "a\n{{ 1 / 0 }}", "a\n{% for x in range(2049) %}{% endfor %}"]
)
def test_an_error_is_the_same_each_time(text: str) -> None:
    """With its line, though the template is compiled only once."""
    found = []
    for _ in range(2):
        with pytest.raises(ExpressionError) as error:
            evaluate(text, {})
        found.append((str(error.value), error.value.line))
    assert found[0] == found[1]
    assert found[0][1] == 2


def test_compiling_costs_of_the_budget_each_time() -> None:
    """What is refused does not depend on what was rendered before."""
    left = []
    for _ in range(2):
        made = Bounded()
        made.bounded_template("{{ 'a constant, whose size is measured' }}", "budget")
        left.append(made.budget_left)
    assert left[0] == left[1] < BUDGET
