"""What the kernels of a balancer and its servers list of its connections, and what that shows."""

from __future__ import annotations

import socket
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.core.errors import InconclusiveError
from harness.verify.balancer import request_counts
from harness.verify.balancer.connections import Connection, listed, opened, opened_by, parse
from harness.verify.balancer.request_counts import count
from harness.verify.balancer.upstreams import Upstreams

ROW = "   {at}: {local} {remote} {state} 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n"
ESTABLISHED, TIME_WAIT, LISTEN = "01", "06", "0A"
TWO = Upstreams(("lb",), {"10.8.0.4:2358": "server-1", "10.8.0.5:2358": "server-2"}, ("10.8.0.3",))
SAME_NODE = Upstreams(("lb",), {"10.0.1.4:2358": "judge", "10.0.1.5:2358": "judge"}, ("10.0.1.9",))


def row(local: str, remote: str, state: str = TIME_WAIT, *, mapped: bool = False) -> str:
    """A line of the kernel's list."""
    return ROW.format(at=1, local=end(local, mapped=mapped), remote=end(remote, mapped=mapped), state=state)


def end(text: str, *, mapped: bool) -> str:
    """``127.0.0.1:80`` as the kernel writes it."""
    address, _, port = text.partition(":")
    word = socket.inet_aton(address)[::-1].hex().upper()
    return f"{'0000000000000000FFFF0000' if mapped else ''}{word}:{int(port):04X}"


class Nodes:
    """Nodes whose containers' kernels list this."""

    def __init__(self, **tables: str) -> None:
        self.tables = {name.replace("_", "-"): text for name, text in tables.items()}

    def run(self, node: str, script: str) -> str:
        assert "/net/tcp6" in script
        return self.tables.get(node, "")


def found(upstreams: Upstreams, **tables: str) -> Any:
    """What is seen where the nodes' containers list this."""
    nodes: Any = Nodes(**tables)
    return listed(nodes, upstreams)


def test_rows_are_read_in_both_families() -> None:
    """Headings and sockets that listen are no connections."""
    text = (
        "  sl  local_address rem_address   st\n"
        + row("0.0.0.0:2358", "0.0.0.0:0", LISTEN)
        + row("172.18.0.2:2358", "10.8.0.3:40000")
        + row("172.18.0.2:2358", "10.8.0.3:40001", ESTABLISHED, mapped=True)
    )
    assert list(parse(text)) == [
        Connection("172.18.0.2:2358", "10.8.0.3:40000"),
        Connection("172.18.0.2:2358", "10.8.0.3:40001"),
    ]


@pytest.mark.parametrize("family", ["tcp", "tcp6"])
def test_this_kernels_own_list_is_read(family: str) -> None:
    """A connection that is open is in it, from both of its ends."""
    kind, address = (socket.AF_INET, "127.0.0.1") if family == "tcp" else (socket.AF_INET6, "::1")
    try:
        server = socket.create_server((address, 0), family=kind)
    except OSError:
        pytest.skip(f"this machine has no {address}")
    with server, socket.create_connection(server.getsockname()[:2]) as client:
        one, other = (f"{address}:{each.getsockname()[1]}" for each in (client, server))
        rows = list(parse(Path(f"/proc/net/{family}").read_text()))
        assert Connection(one, other) in rows
        assert Connection(other, one) in rows


@pytest.mark.parametrize(("of_programs", "of_others", "shown"), [(3, 0, 3), (5, 2, 5), (4, 2, 0), (2, 0, 0)])
def test_what_others_connect_does_not_count(of_programs: int, of_others: int, shown: int) -> None:
    """Three requests need three connections more than there are without them."""
    nodes: Any = Nodes()

    def connect(count: int) -> None:
        made = len(nodes.tables.get("lb", "").splitlines())
        rows = [row(f"10.8.0.3:{4000 + made + each}", "10.8.0.4:2358") for each in range(count)]
        nodes.tables["lb"] = nodes.tables.get("lb", "") + "".join(rows)

    class Quiet(Nodes):
        looks = 0

        def run(self, node: str, script: str) -> str:
            if node == "lb":
                self.looks += 1
                if self.looks == 3:
                    connect(of_others)
            return nodes.run(node, script)

    seen: Any = Quiet()
    assert opened_by(seen, TWO, lambda: connect(of_programs), 3).total() == shown


def test_either_end_may_list_it() -> None:
    """Who closed first does; the other one has forgotten it. What was there before does not count."""
    old = row("172.18.0.2:40000", "10.8.0.4:2358")
    before = found(TWO, lb=old)
    new = old + "".join(row(f"172.18.0.2:{port}", "10.8.0.4:2358") for port in (40001, 40002))
    first, second = row("172.19.0.2:80", "10.8.0.3:50000"), row("172.19.0.2:5", "10.8.0.7:50001")
    after = found(TWO, lb=new, server_1=first, server_2=first + second)
    assert opened(before, after) == Counter({"10.8.0.4:2358": 3, "10.8.0.5:2358": 1})


def test_a_connection_that_both_ends_list_is_one() -> None:
    """It has the same port, though its addresses are translated."""
    here = row("172.18.0.2:40001", "10.8.0.4:2358")
    there = row("172.19.0.2:80", "10.8.0.3:40001")
    assert opened(found(TWO), found(TWO, lb=here, server_1=there))["10.8.0.4:2358"] == 1


@pytest.mark.parametrize("state", ["02", "03", "07", "0C"])
def test_an_attempt_to_connect_is_no_connection(state: str) -> None:
    """A server without power is asked, too, and answers nothing."""
    here = row("172.18.0.2:40001", "10.8.0.4:2358", state)
    assert opened(found(TWO), found(TWO, lb=here)).total() == 0


def test_servers_of_one_node_are_told_by_their_addresses() -> None:
    """As the tasks of a swarm are."""
    there = row("10.0.1.4:2358", "10.0.1.9:1000") + row("10.0.1.6:2358", "10.0.1.9:1001")
    assert opened(found(SAME_NODE), found(SAME_NODE, judge=there)) == Counter(
        {"10.0.1.4:2358": 1, "10.0.1.5:2358": 0}
    )


class Balanced(Nodes):
    """Nodes without useful logs, where one of ``every`` requests opens a connection."""

    def __init__(self, every: int, stray: int = 0) -> None:
        super().__init__()
        self._every, self._made, self._stray = every, 0, stray

    def run(self, node: str, script: str) -> str:
        if "/net/tcp6" in script:
            return super().run(node, script)
        return "0" if "grep -c" in script else ""

    def client(self) -> httpx.Client:
        return httpx.Client(transport=httpx.MockTransport(self._answer), base_url="http://lb")

    def _answer(self, _: httpx.Request) -> httpx.Response:
        self._made += 1
        if self._made % self._every == 0:
            rows = 1 + (self._stray if self._made == 60 else 0)
            self.tables["lb"] = self.tables.get("lb", "") + "".join(
                row(f"10.8.0.3:{1000 + 10 * self._made + each}", f"10.8.0.{4 + self._made % 2}:2358")
                for each in range(rows)
            )
        return httpx.Response(200)


@pytest.fixture
def no_log(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for what is in no log."""
    monkeypatch.setattr(request_counts, "LOG_SECONDS", 0.0)


@pytest.mark.usefixtures("no_log")
@pytest.mark.parametrize("stray", [0, 1])
def test_requests_are_counted_by_their_connections(stray: int) -> None:
    """A connection of somebody else's among them changes nothing."""
    nodes: Any = Balanced(every=1, stray=stray)
    counts, source = count(nodes.client(), nodes, TWO, 50)
    assert source == "the connections from lb to each, a new one for each request"
    assert counts == {"10.8.0.4:2358": 25 + stray, "10.8.0.5:2358": 25}


@pytest.mark.usefixtures("no_log")
def test_connections_that_are_kept_show_no_shares() -> None:
    """Ten requests on each: nobody knows how many went on which."""
    nodes: Any = Balanced(every=10)
    with pytest.raises(InconclusiveError, match="nothing shows which server answered"):
        count(nodes.client(), nodes, TWO, 50)
