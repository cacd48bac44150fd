"""What a node gets of a service."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import TopologyError
from harness.topology import Topology
from harness.topology.application import imagined
from harness.topology.render import ExpressionError, evaluate, render_service

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
    awkward = replace(store, private=replace(store.private, uri="pg://${secret}"))
    broken = replace(deployment, databases={"store": awkward})
    with pytest.raises(TopologyError, match=r"services\.api\.environment\.DATABASE_URL") as caught:
        render_service(topology, broken, topology.services[1], "api-1")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["{{ missing }}", "{{ role('none') }}", "{{ 1 / 0 }}", "{{ none }}", "{{ 1 + 'a' }}", "{%"]
)
def test_an_expression_that_fails_is_an_error(load_small: Loader, text: str) -> None:
    """Nothing is rendered as an empty string by mistake."""
    topology = load_small()
    from harness.topology.render import make_context

    with pytest.raises(ExpressionError):
        evaluate(text, make_context(topology, imagined(topology), "web"))
