"""What a task finds of other services: asked of a resolver and of ports that are played here."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from swarm_rig import Here

from harness.topology.model import Overlay, StackService, Swarm, TemplateFile
from harness.verify.swarm import discovery
from harness.verify.swarm.discovery import Found, container_ports, find, listening, refers_to, wrong

KNOWN: Mapping[str, Sequence[str]] = {
    "judge0-lb": ("127.0.0.1",),
    "judge0-server": ("127.0.0.3", "127.0.0.2"),
    "gone": (),
}


def reply(query: bytes) -> bytes:
    """As Docker's resolver does: the question again, and a record for each address, its name pointed at."""
    end = query.index(b"\0", 12) + 5
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1 : at + 1 + query[at]].decode())
        at += 1 + query[at]
    addresses = KNOWN[".".join(labels)]
    records = b"".join(b"\xc0\x0c\0\1\0\1\0\0\2\x58\0\4" + socket.inet_aton(each) for each in addresses)
    head = struct.pack("!HHHHH", 0x8180 if addresses else 0x8183, 1, len(addresses), 0, 0)
    return query[:2] + head + query[12:end] + records


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A resolver that knows ``KNOWN``, in the place of Docker's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as serving:
        serving.bind(("127.0.0.1", 0))
        monkeypatch.setattr(discovery, "RESOLVER", serving.getsockname())

        def serve() -> None:
            while True:
                query, asker = serving.recvfrom(512)
                if not query:
                    return
                serving.sendto(reply(query), asker)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ending:
            ending.sendto(b"", serving.getsockname())
        thread.join()


@pytest.mark.usefixtures("resolver")
def test_a_name_is_all_of_its_addresses(tmp_path: Path) -> None:
    """Sorted, whatever order the resolver gives them in; a name that it does not know has none."""
    access: Any = Here(tmp_path)
    found = find(access, "client", "c0ffee", {"judge0-server": (), "gone": ()})
    assert found == {"judge0-server": Found(("127.0.0.2", "127.0.0.3")), "gone": Found(())}


@pytest.mark.usefixtures("resolver")
def test_a_port_answers_or_is_told(tmp_path: Path) -> None:
    """At each address; what is said is the kernel's own word."""
    access: Any = Here(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        good, bad = server.getsockname()[1], reserved.getsockname()[1]
        found = find(access, "client", "c0ffee", {"judge0-lb": (good, bad)})
    assert found["judge0-lb"].addresses == ("127.0.0.1",)
    (silent,) = found["judge0-lb"].silent
    assert silent.startswith(f"127.0.0.1:{bad} ")
    assert "refused" in silent


def test_a_resolver_that_says_nothing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of addresses."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reserved:
        reserved.bind(("127.0.0.1", 0))
        monkeypatch.setattr(discovery, "RESOLVER", reserved.getsockname())
        reserved.close()
        access: Any = Here(tmp_path)
        found = find(access, "client", "c0ffee", {"gone": (80,)})
    assert found["gone"].addresses == ()
    assert "refused" in found["gone"].error


def test_what_differs_is_in_words() -> None:
    """Missing, foreign and silent ones; what is as expected is not told."""
    found = {
        "a": Found(("10.0.1.2", "10.0.1.3")),
        "b": Found(("10.0.1.4",), silent=("10.0.1.4:80 timed out",)),
        "c": Found((), error="timed out"),
        "d": Found(("10.0.1.9",)),
    }
    expected = {"a": ("10.0.1.3", "10.0.1.2"), "b": ("10.0.1.4",), "c": ("10.0.1.5",), "d": ("10.0.1.6",)}
    assert list(wrong(found, expected)) == [
        "b at 10.0.1.4:80 timed out",
        "c resolves to timed out, not to 10.0.1.5",
        "d resolves to 10.0.1.9, not to 10.0.1.6",
    ]


def stack(tmp_path: Path) -> Swarm:
    """Two compose files, one of two services, and a template that names another's port."""
    (tmp_path / "one.yml").write_text("services: {web: {image: x, ports: ['80:8080', '443:8443']}}")
    (tmp_path / "two.yml").write_text("services: {api: {image: x}, cache: {image: x, ports: ['6379']}}")
    (tmp_path / "conf.j2").write_text(
        "# Not for api-cache.\ninclude /run/tasks.api:4000;\nserver not-api:9;\nset front:8080;\n"
    )
    files = (TemplateFile(tmp_path / "conf.j2", "nginx.conf"),)
    front = StackService("front", ("a",), tmp_path / "one.yml", (80,), {"URL": "http://api:4001/x"}, files)
    api = StackService("api", ("b",), tmp_path / "two.yml", (), {"BACK": "api-cache:6380"}, ())
    return Swarm(("a",), "stack", Overlay("net"), (front, api))


def test_ports_are_those_of_compose_files_and_of_whoever_names_them(tmp_path: Path) -> None:
    """The container's side of published ports, and ``name:port`` in environments and rendered files."""
    assert listening(stack(tmp_path)) == {
        "front": (8080, 8443),
        "api": (4000, 4001),
        "api-cache": (6379, 6380),
    }


def test_a_service_refers_to_whom_it_is_told_of(tmp_path: Path) -> None:
    """In its own environment and files, and not in another's."""
    assert refers_to(stack(tmp_path), "front") == ("api",)
    assert refers_to(stack(tmp_path), "api") == ("api-cache",)


def test_files_and_variables_of_the_repository_itself_count(tmp_path: Path) -> None:
    """What it mounts, if the topology renders nothing in its place, and what its compose file writes out."""
    (tmp_path / "three.yml").write_text(
        "services: {lb: {image: x, environment: [BACK=http://api:81, GONE=http://front:82],"
        " volumes: ['./own.conf:/a', './nginx.conf:/b', '.:/c', 'data:/d']}}\nvolumes: {data: {}}\n"
    )
    (tmp_path / "own.conf").write_text("server api-cache:83;\n# front:84\n")
    (tmp_path / "nginx.conf").write_text("server front:85;\n")
    known = stack(tmp_path)
    files = (TemplateFile(tmp_path / "conf.j2", "nginx.conf"),)
    environment = {"GONE": "nowhere"}
    lb = StackService("lb", ("a",), tmp_path / "three.yml", (), environment, files)
    both = replace(known, services=(*known.services, lb))
    assert refers_to(both, "lb") == ("front", "api", "api-cache")
    found = listening(both)
    assert (found["api"], found["api-cache"], found["front"]) == (
        (81, 4000, 4001), (83, 6379, 6380), (8080, 8443),
    )  # fmt: skip
    assert refers_to(replace(known, services=(*known.services, replace(lb, files=()))), "lb") == (
        "front",
        "api",
        "api-cache",
    )


def test_ports_are_read_in_every_form() -> None:
    """What is no TCP port, or no number yet, is left out."""
    given = [
        "80",
        "81:82",
        "127.0.0.1:83:84/tcp",
        "85:86/udp",
        "${PORT}:87",
        {"target": 88, "published": 1},
        89,
    ]
    assert list(container_ports(given)) == [80, 82, 84, 88, 89]
