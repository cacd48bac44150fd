"""What every service of a stack has, and what the file has around them."""

from __future__ import annotations

import pytest
from ruamel.yaml import YAML
from stack_helpers import ID, a_service, a_source, a_topology, compose, converted, notes_of, refusal, web

from harness.core.errors import TopologyError
from harness.deploy.engine import Image
from harness.stack import Source, convert

TWO = """\
services:
  web: {image: web}
  db: {image: db}
"""


def test_a_stack_is_of_version_3_12_on_the_topologys_network() -> None:
    """What the plan asks for: the version that stacks know, and the overlay as default network."""
    document = converted(compose("")).document
    assert document["version"] == "3.12"
    assert document["networks"] == {"default": {"external": True, "name": "app-net"}}


def test_text_and_document_say_the_same() -> None:
    """The text is the document, and nothing else."""
    stack = converted(compose("command: echo 'a b' yes 0x10 22:22\nenvironment: {A: '${X-$$}'}"))
    assert YAML(typ="safe", pure=True).load(stack.text) == stack.document


def test_an_image_is_named_by_its_id() -> None:
    """So that no engine asks a registry, and all nodes run the same; a label keeps the readable name."""
    body, _ = web("build: .")
    assert body["image"] == ID
    assert body["deploy"]["labels"] == {"wavetank.image": "wavetank-app/web:1"}
    assert "build" not in body


def test_an_image_that_is_not_here_is_named_as_it_is() -> None:
    """A node pulls it by that name."""
    source = a_source(compose(""))
    bare = Source(source.service, source.text, {}, frozenset(), {}, {"web": Image("nginx:1.25", "")}, {})
    stack = convert(a_topology(source.service), [bare], ipvs=False)
    assert stack.document["services"]["web"]["image"] == "nginx:1.25"


@pytest.mark.parametrize(("ipvs", "mode"), [(True, "vip"), (False, "dnsrr")])
def test_the_endpoint_mode_follows_the_kernel(ipvs: bool, mode: str) -> None:
    """Virtual addresses need IPVS; where there is none, the name leads to the tasks themselves."""
    body, _ = web("", ipvs=ipvs)
    assert body["deploy"]["endpoint_mode"] == mode


def test_the_only_container_of_a_file_takes_the_services_name() -> None:
    """Whatever the compose file calls it; that name leads to it as well."""
    stack = converted("services: {runner: {image: r}}", a_service("runner-api"))
    (name,) = stack.document["services"]
    assert name == "runner-api"
    assert stack.document["services"][name]["networks"] == {"default": {"aliases": ["runner"]}}


def test_others_of_a_file_are_named_after_the_service() -> None:
    """The one that is named like the service is the service; others have its name before theirs."""
    services = converted(TWO).document["services"]
    assert list(services) == ["web", "web-db"]
    assert services["web-db"]["networks"] == {"default": {"aliases": ["db"]}}
    assert "networks" not in services["web"]


def test_replicas_are_for_the_service_itself() -> None:
    """A database beside it is not multiplied."""
    services = converted(TWO, a_service(replicas=3)).document["services"]
    assert services["web"]["deploy"]["replicas"] == 3
    assert services["web-db"]["deploy"]["replicas"] == 1


def test_replicas_that_could_be_meant_for_any_are_refused() -> None:
    """Where no container is named like the service, nobody knows which is to be multiplied."""
    error = refusal(TWO, a_service("shop", replicas=2))
    assert "swarm.services.shop.replicas" in str(error)
    assert "shop in the compose file" in error.remedy


def test_one_name_never_leads_to_two_services() -> None:
    """Two files with a ``db`` each had it on networks of their own; on one network it is an error."""
    sources = [a_source(TWO), a_source(TWO.replace("web", "api"), a_service("api"))]
    with pytest.raises(TopologyError, match=r"'db' would lead to api-db and to web-db"):
        convert(a_topology(*(each.service for each in sources)), sources, ipvs=False)


def test_two_services_never_have_one_name() -> None:
    """``web`` with a container ``db`` beside a service ``web-db``."""
    other = a_service("web-db")
    sources = [a_source(TWO), a_source("services: {x: {image: x}}", other)]
    with pytest.raises(TopologyError, match="'web-db' would lead to web-db"):
        convert(a_topology(*(each.service for each in sources)), sources, ipvs=False)


def test_a_service_with_a_profile_is_left_out() -> None:
    """As ``compose up`` leaves it out, and with a note that says so."""
    stack = converted(TWO.replace("{image: db}", "{image: db, profiles: [debug]}"))
    assert list(stack.document["services"]) == ["web"]
    assert any("services.db.profiles" in note.where for note in stack.notes)


def test_anchors_and_merges_are_written_out() -> None:
    """What ``<<`` brings in counts like what is written there."""
    text = "x-log: &log {logging: {driver: json-file, options: {max-size: 100m}}}\n"
    stack = converted(f"{text}services: {{web: {{image: w, <<: *log}}}}")
    logging = stack.document["services"]["web"]["logging"]
    assert logging == {"driver": "json-file", "options": {"max-size": "100m"}}
    assert "&" not in stack.text
    assert any(note.where == "web: x-log" for note in stack.notes)


@pytest.mark.parametrize("section", ["include: [other.yml]", "models: {m: {model: x}}"])
def test_a_section_that_no_stack_has_is_refused(section: str) -> None:
    """What it brings in would be missing."""
    assert section.partition(":")[0] in str(refusal(f"{section}\n{compose('')}"))


def test_a_key_that_no_compose_file_has_is_refused() -> None:
    """A slip of the pen is not left out in silence."""
    error = refusal(compose("enviroment: {A: 1}"))
    assert error.field == "services.web.enviroment"


def test_a_variable_that_is_not_set_is_told() -> None:
    """Compose warns of it, too."""
    body, stack = web("hostname: a${NOBODY}b")
    assert body["hostname"] == "ab"
    assert any("${NOBODY}" in note.where for note in stack.notes)


def test_a_topology_without_a_swarm_has_no_stack() -> None:
    """The error names what would be right."""
    from dataclasses import replace

    with pytest.raises(TopologyError, match="there is no swarm"):
        convert(replace(a_topology(), swarm=None), [], ipvs=False)


@pytest.mark.parametrize("text", ["services: {web: {image: [}", "- a", "services: []", "services: {web: 3}"])
def test_what_is_no_compose_file_is_refused(text: str) -> None:
    """With the file's name, and what would be right."""
    source = a_source("services: {web: {}}")
    broken = Source(source.service, text, {}, frozenset(), {}, {}, {})
    with pytest.raises(TopologyError, match=r"docker-compose\.yml.*\n.*remedy"):
        convert(a_topology(source.service), [broken], ipvs=False)


def test_networks_are_one_network() -> None:
    """Aliases that a service had on any of them lead to it still; addresses cannot be chosen."""
    lines = "networks: {back: {aliases: [store], ipv4_address: 10.0.0.5}, front: {}}"
    body, stack = web(lines)
    assert body["networks"] == {"default": {"aliases": ["store"]}}
    assert "app-net instead of back, front" in notes_of(stack, "networks")[0]
    assert "ipv4_address" in notes_of(stack, "networks.back")[0]


def test_container_names_and_links_stay_names() -> None:
    """Whoever asks for them finds the service."""
    text = """\
services:
  web: {image: w, links: ["db:store", db], container_name: shop}
  db: {image: d}
"""
    services = converted(text).document["services"]
    assert services["web"]["networks"]["default"]["aliases"] == ["shop"]
    assert services["web-db"]["networks"]["default"]["aliases"] == ["db", "store"]


def test_a_network_mode_is_bridge_or_refused() -> None:
    """A stack's service cannot be on the host's network."""
    _, stack = web("network_mode: bridge")
    assert notes_of(stack, "network_mode")
    assert "plain `services:`" in refusal(compose("network_mode: host")).remedy
