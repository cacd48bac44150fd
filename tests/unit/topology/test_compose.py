"""Taking networks out of compose files, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from harness.core.errors import TopologyError
from harness.topology.rendering.compose import Removed, strip, strip_networks


def stripped(text: str) -> str:
    """The text without networks."""
    return strip_networks(text, file="docker-compose.yml")


def parse(text: str) -> Any:
    """The text's data, merges applied."""
    return YAML(typ="safe", pure=True).load(text)


def without_networks(data: dict[str, Any]) -> dict[str, Any]:
    """What the data should be afterwards."""
    rest = {key: value for key, value in data.items() if key != "networks"}
    services = {
        name: {key: value for key, value in service.items() if key != "networks"}
        for name, service in rest["services"].items()
    }
    return {**rest, "services": services}


PLANS = """\
# The runner.
version: "3.8"   # keep this

services:
  runner-api:
    image: 'editor/runner:1'
    networks:
      # who comes in
      - editor-mini-public   # the client
      - editor-mini-private
      # and nothing else
    # about ports
    ports: ["4000:4000"]
    networks_note: stays

  other:
    networks: [editor-mini-private]
    network_mode: host
    build:
      context: .
      network: host


# networks: this is a comment
networks:
  editor-mini-private:
    driver: bridge
    # inner

  editor-mini-public: {}
# outer
volumes: {}
"""
PLANS_STRIPPED = """\
# The runner.
version: "3.8"   # keep this

services:
  runner-api:
    image: 'editor/runner:1'
    # about ports
    ports: ["4000:4000"]
    networks_note: stays

  other:
    network_mode: host
    build:
      context: .
      network: host


# networks: this is a comment
# outer
volumes: {}
"""


def test_a_file_like_the_plans_loses_its_networks_and_no_other_byte() -> None:
    """Comments that belong to a removed section go with it, all others stay."""
    assert stripped(PLANS) == PLANS_STRIPPED


def test_line_endings_are_kept() -> None:
    """A file written on Windows stays one."""
    assert stripped(PLANS.replace("\n", "\r\n")) == PLANS_STRIPPED.replace("\n", "\r\n")


def test_what_was_taken_out_is_reported() -> None:
    """Each section with its path and line, for the user to see."""
    removed = strip(PLANS, file="x").removed
    assert removed == (
        Removed("networks", 25),
        Removed("services.runner-api.networks", 7),
        Removed("services.other.networks", 17),
    )


def test_a_file_without_networks_is_left_as_it_is() -> None:
    """Doing it twice does nothing the second time."""
    assert stripped(PLANS_STRIPPED) == PLANS_STRIPPED


# Text, and what remains of it.
CASES = {
    "mapping form with aliases": (
        "services:\n  a:\n    networks:\n      n:\n        aliases: [x]\n    image: i\n",
        "services:\n  a:\n    image: i\n",
    ),
    "last key without a final newline": (
        "services:\n  a:\n    image: i\n    networks: [n]",
        "services:\n  a:\n    image: i\n",
    ),
    "list at the key's own indentation": (
        "services:\n  a:\n    networks:\n    - n\n    # inside\n    - m\n    image: i\n",
        "services:\n  a:\n    image: i\n",
    ),
    "null and empty": (
        "services:\n  a:\n    image: i\n    networks:\n  b:\n    networks: []\n    image: i\nnetworks:\n",
        "services:\n  a:\n    image: i\n  b:\n    image: i\n",
    ),
    "flow over several lines": (
        "services:\n  a:\n    networks: [n,\n  m]  # both\n    image: i\n",
        "services:\n  a:\n    image: i\n",
    ),
    "flow mapping, first": ("services: {a: {networks: [n], image: i}}\n", "services: {a: {image: i}}\n"),
    "flow mapping, last": ("services: {a: {image: i, networks: [n]}}\n", "services: {a: {image: i}}\n"),
    "flow mapping, alone": ("services: {a: {networks: [n]}}\n", "services: {a: {}}\n"),
    "flow mapping, comma after the last": (
        "services: {a: {image: i, networks: [n] , }}\n",
        "services: {a: {image: i,  }}\n",
    ),
    "quoted key": ('services:\n  a:\n    "networks": [n]\n    image: i\n', "services:\n  a:\n    image: i\n"),
    "a service called networks": (
        "services:\n  networks:\n    image: i\n    networks: [n]\n",
        "services:\n  networks:\n    image: i\n",
    ),
    "only key of a service": (
        "services:\n  a:\n    networks: [n]\n  b:\n    image: i\n",
        "services:\n  a:\n    {}\n  b:\n    image: i\n",
    ),
    "networks that come by a merge": (
        "x-b: &b\n  networks: [n]\n  restart: always\nservices:\n  a:\n    <<: *b\n    image: i\n",
        "x-b: &b\n  restart: always\nservices:\n  a:\n    <<: *b\n    image: i\n",
    ),
    "only key of what is merged": (
        "x-common: &common  # shared\n  networks: [n]\nservices:\n  a:\n    <<: [*common]\n    image: i\n",
        "x-common: &common  # shared\n  {}\nservices:\n  a:\n    <<: [*common]\n    image: i\n",
    ),
    "an alias for a value": (
        "x-n: &n [n]\nservices:\n  a:\n    networks: *n\n    image: i\n  b: &b\n    image: i\n  c: *b\n",
        "x-n: &n [n]\nservices:\n  a:\n    image: i\n  b: &b\n    image: i\n  c: *b\n",
    ),
    "an alias at the end of a list": (
        "x-n: &n name\nservices:\n  a:\n    networks:\n      - *n\n    image: i\n",
        "x-n: &n name\nservices:\n  a:\n    image: i\n",
    ),
    "anchors and aliases both inside": (
        "services:\n  a:\n    image: i\n    networks: &n [x]\n  b:\n    image: i\n    networks: *n\n",
        "services:\n  a:\n    image: i\n  b:\n    image: i\n",
    ),
    "an extension's own networks": (
        "x-mine:\n  networks: [n]\nservices:\n  a:\n    image: i\n",
        "x-mine:\n  networks: [n]\nservices:\n  a:\n    image: i\n",
    ),
    "document markers": (
        "---\nservices:\n  a:\n    image: i\nnetworks:\n  n:\n...\n",
        "---\nservices:\n  a:\n    image: i\n...\n",
    ),
    "text of a block scalar that looks like it": (
        "services:\n  a:\n    command: |\n      networks:\n        - n\n    image: i\n",
        "services:\n  a:\n    command: |\n      networks:\n        - n\n    image: i\n",
    ),
    "block scalar in networks": (
        "services:\n  a:\n    image: i\nnetworks:\n  n:\n    labels:\n      l: |\n        t\n\nvolumes: {}\n",
        "services:\n  a:\n    image: i\n\nvolumes: {}\n",
    ),
    "byte order mark": ("\ufeffnetworks: {}\nservices: {}\n", "\ufeffservices: {}\n"),
}


@pytest.mark.parametrize(("text", "expected"), CASES.values(), ids=CASES.keys())
def test_networks_go_however_they_are_written(text: str, expected: str) -> None:
    """Every form that YAML has for it."""
    assert stripped(text) == expected


@pytest.mark.parametrize(
    ("text", "problem", "line"),
    [
        ("", "empty", 1),
        ("- a\n", "not a mapping", 1),
        ("services: [\n", "not YAML", 2),
        ("services: {}\n---\nservices: {}\n", "several documents", 2),
        ("services:\n  a:\n    networks: &n [x]\n    dns: 1\n  b:\n    dns: *n\n", r"\*n is used here", 6),
        ("services:\n  a:\n    ? networks\n    : [x]\n    image: i\n", "does not begin its line", 3),
        ("services:\n  a: &a\n    <<: *a\n    networks: [n]\n", "contains itself", 2),
    ],
)
def test_what_cannot_be_done_safely_is_an_error(text: str, problem: str, line: int) -> None:
    """Naming file and line."""
    with pytest.raises(TopologyError, match=problem) as caught:
        stripped(text)
    assert (caught.value.file, caught.value.line) == ("docker-compose.yml", line)
    assert caught.value.remedy


NAMES = st.sampled_from(["web", "api", "networks", "db"])
SCALARS = st.sampled_from(["text", "a: b", "# no", "'", "", "8000:80"])
COMMENTS = st.sampled_from(["", "  # why", "  # networks: x"])
NETWORKS = st.one_of(
    st.none(),
    st.lists(st.sampled_from(["n", "m"]), max_size=2),
    st.dictionaries(st.sampled_from(["n", "m"]), st.none() | st.just({"aliases": ["x"]}), max_size=2),
)


@st.composite
def compose_files(draw: st.DrawFn) -> str:
    """Compose files as people write them: block or flow, comments and blank lines anywhere, merges."""
    lines = ["x-base: &base", "  restart: always"]
    if draw(st.booleans()):
        lines += _entry(draw, "networks", draw(NETWORKS), 2)
    sections = [[*lines], _services(draw)]
    if draw(st.booleans()):
        sections.append(_entry(draw, "networks", draw(NETWORKS), 0))
    sections.append(["volumes: {}"])
    order = draw(st.permutations(sections[1:]))
    newline = draw(st.sampled_from(["\n", "\r\n"]))
    return newline.join(line for section in [sections[0], *order] for line in section) + newline


def _services(draw: st.DrawFn) -> list[str]:
    lines = ["services:" + draw(COMMENTS)]
    for name in draw(st.lists(NAMES, min_size=1, max_size=3, unique=True)):
        lines.append(f"  {name}:")
        parts = [["    image: i" + draw(COMMENTS)], _entry(draw, "command", draw(SCALARS), 4)]
        if draw(st.booleans()):
            parts.append(_entry(draw, "networks", draw(NETWORKS), 4))
        if draw(st.booleans()):
            parts.append(["    <<: *base"])
        lines += [line for part in draw(st.permutations(parts)) for line in part]
        lines += draw(st.sampled_from([[], [""], ["    # end"], ["# far left"]]))
    return lines


def _entry(draw: st.DrawFn, key: str, value: Any, indent: int) -> list[str]:
    """One key and its value, in block or flow style."""
    pad = " " * indent
    if value is None:
        return [f"{pad}{key}:"]
    import json

    if not value or isinstance(value, str) or draw(st.booleans()):
        return [f"{pad}{key}: {json.dumps(value)}{draw(COMMENTS)}"]
    lines = [f"{pad}{key}:{draw(COMMENTS)}"]
    for each in value:
        if isinstance(value, list):
            lines.append(f"{pad}  - {each}{draw(COMMENTS)}")
        else:
            lines.append(f"{pad}  {each}: {json.dumps(value[each])}")
        lines += draw(st.sampled_from([[], [""], [f"{pad}    # inside"]]))
    return lines


@settings(deadline=None)
@given(compose_files())
def test_any_file_keeps_its_data_and_its_other_lines(text: str) -> None:
    """The result's data is the original's less networks, its lines are some of the original's, in order."""
    result = stripped(text)
    before, after = parse(text), parse(result)
    if "*base" in text:
        before["x-base"].pop("networks", None)
    assert after == without_networks(before)
    remaining = iter(text.splitlines(keepends=True))
    assert all(line in remaining for line in result.splitlines(keepends=True))
    assert stripped(result) == result


def test_comments_outside_survive() -> None:
    """Every comment that is not inside a networks section is still there, as often as before."""
    assert PLANS_STRIPPED.count("#") == PLANS.count("#") - 4
