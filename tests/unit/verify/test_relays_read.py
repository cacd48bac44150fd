"""What a port's answers and a machine's rules tell of relays."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from harness.run.settings import topology_file
from harness.topology import load
from harness.topology.deployment import Deployment
from harness.verify.network import relays
from harness.verify.network.relays import Answer, Asked

STANDARD = load(topology_file("standard"))
HTTP = Answer(40000, "http", "nginx")


def wrong(*answers: Answer, node: str = "runner", port: int = 4000) -> str:
    """What is wrong with these answers of the runner."""
    return relays.wrong(Asked("client", node, port, answers), STANDARD)


def test_one_service_for_all_source_ports_is_fine() -> None:
    """Whatever it is, as long as it is nobody else's."""
    assert wrong(HTTP, Answer(1024, "http", "nginx")) == ""
    assert wrong(Answer(1, "ssh"), Answer(2, "ssh"), port=22) == ""


def test_a_managed_databases_certificate_names_both() -> None:
    """From the source ports that are handed on, with who belongs there."""
    said = wrong(HTTP, Answer(1024, "tls", "managed database mongo"))
    assert (
        "runner:4000, asked by client from source ports 1024, answers as tls of managed database mongo"
        in said
    )
    assert "runner (http) belongs there" in said


@pytest.mark.parametrize(
    "answer", [Answer(1, "ssh"), Answer(1, "valkey"), Answer(1, "mongodb"), Answer(1, "tls", "CN=x")]
)
def test_another_services_greeting_is_foreign(answer: Answer) -> None:
    """Whoever asks, where HTTP belongs."""
    assert "answers as" in wrong(answer)


def test_ports_that_answer_otherwise_to_some_are_told() -> None:
    """Even where nobody is recognised: a relay that refuses, or another server's HTTP."""
    assert "otherwise to some source ports" in wrong(HTTP, Answer(1024, "silent"))
    assert "otherwise to some source ports" in wrong(HTTP, Answer(1024, "http", "gunicorn"))


def test_a_protocol_with_a_nonce_is_one_service() -> None:
    """A swarm's gossip answers with other bytes each time."""
    deployment = Deployment("test", "vpc", "10.0.0.0/20", {}, {})
    told = {"certificate": "", "error": "", "source": 1024}
    first, second = (
        relays._answer({**told, "said": f"\n\0\0\0q\1{nonce}"}, deployment) for nonce in ("\xfeS", "\x9a=")
    )
    assert wrong(first, second, port=7946) == ""
    other = relays._answer({**told, "said": "+PONG"}, deployment)
    assert "answers otherwise" in wrong(first, replace(other, source=1025), port=7946)


def test_low_and_notable_source_ports_are_asked_from() -> None:
    """Always the same ones, with what is left of the range as a sample."""
    asked = relays.source_ports()
    assert {1, 1023, 1024, 1100} <= set(asked)
    assert asked == relays.source_ports()
    assert len(set(asked)) == len(asked) == len(relays.SOURCE_PORTS) + relays.SAMPLE


def test_every_port_that_droplets_may_ask_is_asked_by_one_of_them() -> None:
    """ssh by the bastion, the service by its client."""
    assert relays.flows(STANDARD, "runner") == [("client", 22), ("client", 4000)]
    assert relays.flows(STANDARD, "client") == []


LOOK = """\
== rules
-A DOCKER ! -i br-1 -p tcp -m tcp --dport 4000 -j DNAT --to-destination 172.18.0.2:4000
{rule}
== balanced
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
== listeners
tcp LISTEN 0 4096 0.0.0.0:4000 0.0.0.0:* users:(("docker-proxy",pid=1,fd=4))
tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=2,fd=3))
tcp LISTEN 0 128 127.0.0.1:631 0.0.0.0:* users:(("cupsd",pid=3,fd=3))
udp UNCONN 0 0 0.0.0.0:4789 0.0.0.0:*
{listener}
== networks
172.17.0.0/16
172.18.0.0/16 fd00::/64
== end
"""


@pytest.mark.parametrize(
    "rule",
    [
        "",
        "tcp dport 4000 counter dnat to 172.18.0.2:4000",
        "tcp dport 4000 dnat ip6 to [fd00::2]:4000",
        'ip daddr 10.0.0.2 xt target "DNAT"',
    ],
)
def test_rules_to_own_containers_and_known_listeners_are_fine(rule: str) -> None:
    """What Docker makes, what the system runs, and what only the machine itself reaches."""
    machine = relays.read(LOOK.format(rule=rule, listener=""))
    assert (relays.relaying(machine), relays.unknown_listeners(machine)) == ([], [])


@pytest.mark.parametrize(
    "rule",
    [
        "-A PREROUTING -p tcp --dport 4000 --sport 1024:1100 -j DNAT --to-destination 10.0.0.9:27017",
        "tcp dport 4000 tcp sport 1024-1100 dnat to 10.0.0.9:27017",
        "tcp dport 4000 dnat ip to 10.0.0.9:27017",
        "dnat to tcp dport map { 4000 : 10.0.0.9 }",
        "-A PREROUTING -p tcp --dport 4000 -j REDIRECT --to-ports 5000",
        "tcp dport 4000 redirect to :5000",
    ],
)
def test_a_rule_that_sends_elsewhere_is_told(rule: str) -> None:
    """In its own words, whichever tool made it."""
    assert relays.relaying(relays.read(LOOK.format(rule=rule, listener=""))) == [f"rule {rule}"]


def test_a_balancer_in_the_kernel_is_told() -> None:
    """IPVS hands packets on without a rule."""
    text = LOOK.format(rule="", listener="").replace(
        "InActConn\n", "InActConn\n  -> 0A000009:6989 Masq 1 0 0\n"
    )
    assert relays.relaying(relays.read(text)) == ["IPVS -> 0A000009:6989 Masq 1 0 0"]


def test_a_program_that_listens_for_nobody_is_told() -> None:
    """By its name and port, over TCP and UDP."""
    line = 'tcp LISTEN 0 5 0.0.0.0:5000 0.0.0.0:* users:(("socat",pid=9,fd=5))'
    assert relays.unknown_listeners(relays.read(LOOK.format(rule="", listener=line))) == [
        "socat listens on 5000/tcp"
    ]


def test_a_shared_host_key_names_both() -> None:
    """Two machines do not have one key."""
    text = "a ssh-ed25519 AAA\nb ssh-ed25519 BBB\nc ssh-ed25519 AAA\n"
    assert relays.host_keys(text) == ["a and c"]
    assert relays.host_keys("a ssh-ed25519 AAA\n") == []


class Quiet(BaseHTTPRequestHandler):
    """Answers everything, and tells nobody."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    """A web server here."""
    server = HTTPServer(("127.0.0.1", 0), Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def test_the_probe_asks_from_the_ports_it_is_told(port: int) -> None:
    """Run as a droplet runs it: each source port hears the same, and none is used up by it."""
    asked = json.dumps([["127.0.0.1", port, source] for source in (20101, 20102, 20101)])
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-I", "-", asked, "3"],
            input=relays.SCRIPT,
            text=True,
            capture_output=True,
            check=True,
        )
        told = [json.loads(line) for line in done.stdout.splitlines()]
        assert all(each["said"].startswith("HTTP/1.0 200") or each["error"] for each in told)
        assert {each["source"] for each in told if each["said"]} == {20101, 20102}
