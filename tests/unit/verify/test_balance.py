"""What nginx's configuration says of its upstreams, and whether counts agree with it."""

from __future__ import annotations

import random
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from harness.core.errors import InconclusiveError
from harness.verify.balancer.balance import Balance, enough, slack, took, wrong
from harness.verify.balancer.nginx import DUMP, NGINX_CONFIG, parse

A, B = "10.0.0.1:2358", "10.0.0.2:2358"
CONFIG = """\
http {
    upstream judge0 {
        zone judge0 64k;   # server 9.9.9.9:1;
        server 10.0.0.1:2358 weight=3 max_fails=1;
        server 10.0.0.2:2358 max_fails=1 fail_timeout=5s;
        server 10.0.0.3:2358 backup;
    }
    upstream other {
        least_conn;
        server 10.0.0.9:80;
    }
    server { listen 2358; }
}
"""
EVEN = Balance("judge0", {A: 1, B: 1})


def test_a_server_that_is_named_has_the_addresses_of_the_containers_hosts_file() -> None:
    """nginx itself looks there first."""
    text = "upstream a { server app-1:80 weight=2; server app-2:80 backup; server other:80; }\n"
    known = ("127.0.0.1 localhost", "10.0.0.1 app-1 app-one", "10.0.0.2 app-1", "10.0.0.3 app-2")
    hosts = "".join(f"# host {each}\n" for each in known)
    (found,) = parse(text + hosts)
    assert found.weights == {"10.0.0.1:80": 2, "10.0.0.2:80": 2, "other:80": 1}
    assert found.spares == ("10.0.0.3:80",)


def test_weights_methods_and_spares_are_read() -> None:
    """Comments count for nothing, and ``server`` blocks outside are no upstreams."""
    judge0, other = parse(CONFIG)
    assert judge0 == Balance("judge0", {A: 3, B: 1}, "round robin", ("10.0.0.3:2358",))
    assert (other.method, dict(other.weights)) == ("least_conn", {"10.0.0.9:80": 1})
    assert dict(judge0.share) == {A: 0.75, B: 0.25}


# As nginx -T writes it: remarks of its own, and each included file after the one that includes it.
DUMPED = """\
nginx: the configuration file /etc/nginx/nginx.conf syntax is ok
nginx: configuration file /etc/nginx/nginx.conf test is successful
# configuration file /etc/nginx/nginx.conf:
events { worker_connections 1024; }
http {
    log_format main '$remote_addr; upstream fake { server 9.9.9.9:1; }';
    include /etc/nginx/conf.d/*.conf;
}

# configuration file /etc/nginx/conf.d/nodes.conf:
upstream nodes { least_conn; server 10.0.0.1:2358; server 10.0.0.2:2358 weight=2; }
server { listen 80; location / { proxy_pass http://nodes; } }
"""


def test_an_upstream_in_one_line_has_its_servers_weights_and_method() -> None:
    """nginx's language has no lines, and a quoted text is no block."""
    assert parse(DUMPED) == (Balance("nodes", {A: 1, B: 2}, "least_conn"),)


def test_a_server_may_be_a_name_or_a_socket() -> None:
    """Each as it is written."""
    text = "upstream a { server app:80 down; server unix:/run/a.sock max_fails=1; hash $uri consistent; }"
    assert parse(text) == (Balance("a", {"unix:/run/a.sock": 1}, "hash", ("app:80",)),)


def test_what_is_no_configuration_is_a_doubt() -> None:
    """It is not taken for one without upstreams; no nginx at all is one."""
    with pytest.raises(InconclusiveError, match="cannot be read"):
        parse("upstream a { server 10.0.0.1:80; ")
    assert parse("") == ()


def dumped(processes: dict[int, str], directory: Path) -> str:
    """What the script prints in a container with these processes; its nginx prints its own arguments."""
    for number, title in processes.items():
        (directory / f"proc/{number}").mkdir(parents=True)
        (directory / f"proc/{number}/cmdline").write_bytes(title.replace("|", "\0").encode())
    (directory / "nginx").write_text('#!/bin/sh\necho "asked: $*"\n')
    (directory / "nginx").chmod(0o755)
    script = DUMP.replace("/proc/", f"{directory}/proc/")
    environment = {"PATH": f"{directory}:/usr/bin:/bin"}
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    return done.stdout


@pytest.mark.parametrize(
    ("title", "asked"),
    [
        ("nginx: master process nginx -g daemon off;|", ["asked: -T"]),
        ("nginx: master process {}/nginx -c /etc/own.conf -p /srv|", ["asked: -c /etc/own.conf -p /srv -T"]),
        ("nginx: worker process|", []),
        ("sh|-c|echo nginx: master process nginx -c /x|", []),
    ],
)
def test_a_running_nginx_is_asked_as_it_was_started(title: str, asked: list[str], tmp_path: Path) -> None:
    """Wherever it is among the processes; one that only speaks of it is none."""
    processes = {1: "/bin/sh|entrypoint|", 20: "sh|-c|nginx -c [^ ]*|", 7: title.replace("{}", str(tmp_path))}
    lines = dumped(processes, tmp_path).splitlines()
    assert [line for line in lines if not line.startswith("# host ")] == asked


def test_every_container_of_a_node_is_looked_at(tmp_path: Path) -> None:
    """The first need not be the one with nginx, and one without a shell is left out."""
    (tmp_path / "docker").write_text(
        '#!/bin/sh\n[ "$1" = ps ] && { echo app; echo bare; echo lb; exit; }\n'
        '[ "$2" = bare ] && { echo "no sh" >&2; exit 126; }\n[ "$2" = lb ] && echo "upstream x {}"\nexit 0\n'
    )
    (tmp_path / "docker").chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", NGINX_CONFIG],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        timeout=60,
    )
    assert (done.stdout, done.stderr) == ("upstream x {}\n", "")


@pytest.mark.parametrize(
    ("counts", "fine"),
    [({A: 10, B: 10}, True), ({A: 11, B: 10}, True), ({A: 11, B: 9}, False), ({A: 20}, False)],
)
def test_round_robin_is_exact(counts: dict[str, int], fine: bool) -> None:
    """Whole rounds leave no remainder; a cut one leaves one request."""
    assert (wrong(EVEN, counts) == "") is fine


def test_a_server_that_is_none_is_named() -> None:
    """Requests that went elsewhere are a fault, however even."""
    assert "10.0.0.7:2358 took requests" in wrong(EVEN, {A: 5, B: 5, "10.0.0.7:2358": 1})


def test_chance_has_its_bound() -> None:
    """A fair draw passes over and over, one that never picks a server does not."""
    chosen = Balance("judge0", {A: 1, B: 1}, "random")
    total, draw = enough(chosen), random.Random(3)
    for _ in range(200):
        assert wrong(chosen, Counter(draw.choice([A, B]) for _ in range(total))) == ""
    assert wrong(chosen, {A: total}) != ""
    assert 0 < slack(chosen, total) < total / 2


def test_what_sticks_shows_nothing() -> None:
    """With ip_hash all requests of a client go to one server, rightly."""
    with pytest.raises(InconclusiveError, match="by ip_hash"):
        wrong(Balance("judge0", {A: 1, B: 1}, "ip_hash"), {A: 20})


def test_the_server_that_answered_counts() -> None:
    """The one tried in vain before it does not, nor an address that only begins alike."""
    lines = [f"upstream={A}", f"upstream={A}, {B}", f"upstream=110.0.0.1:2358 {B}", "nothing", f"{A}9"]
    assert took(lines, [A, B]) == Counter({A: 1, B: 2})
