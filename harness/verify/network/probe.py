"""Is a TCP port open, closed or filtered, seen from a node or from here? A few ports, politely.

*Open*: somebody accepted. *Closed*: nobody listens, but the packet arrived. *Filtered*: no answer. A probe
source proves with a control port, which must be open, that its probes work; otherwise silence says nothing.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from math import ceil
from typing import Literal

from python_socks import ProxyError

from harness.access.socks import connect
from harness.access.ssh import Access
from harness.core.errors import InconclusiveError
from harness.core.parallel import Pool
from harness.core.wait import scaled
from harness.target.target import Target

Address = tuple[str, int]
State = Literal["open", "closed", "filtered"]

SECONDS = 3
AT_ONCE = 256  # of attempts from here, most of which wait for all of these seconds
REFUSED_BY_PEER = 5  # SOCKS5's reply code

# One line for each address: host, port, exit code, bash's message. `timeout` ends a silent attempt with 124.
SCRIPT = """\
probe() {
  said=$(timeout %d bash -c ': </dev/tcp/'"$1/$2" 2>&1)
  echo "$1 $2 $? ${said##*: }"
}
for each in %s; do probe "${each%%%%:*}" "${each##*:}" & done
wait
"""


def from_node(access: Access, node: str, addresses: Iterable[Address]) -> dict[Address, State]:
    """What ``node`` finds at each address (host or IP, port). Raises ``InconclusiveError``."""
    wanted = list(dict.fromkeys(addresses))
    words = " ".join(f"{host}:{port}" for host, port in wanted)
    output = access.run(node, SCRIPT % (ceil(scaled(SECONDS)), words), deadline=30 + SECONDS)
    found = dict(_read(line, node) for line in output.splitlines())
    missing = [address for address in wanted if address not in found]
    if missing:
        raise InconclusiveError(f"{node} said nothing about {missing}: {output!r}")
    return found


def from_here(target: Target, addresses: Iterable[Address]) -> dict[Address, State]:
    """What this machine finds at public addresses, through the target's proxy where it has one."""
    wanted = list(dict.fromkeys(addresses))
    target.require_machines(*(host for host, _ in wanted))
    with Pool(max_workers=AT_ONCE) as pool:
        return dict(zip(wanted, pool.map(lambda each: _attempt(target.proxy, each), wanted), strict=True))


def require_control(found: Mapping[Address, State], control: Address, probe_source: str) -> None:
    """Raise ``InconclusiveError`` unless the control port was found open."""
    if found[control] != "open":
        raise InconclusiveError(
            f"{probe_source} finds {control[0]}:{control[1]} {found[control]}, which must be open: "
            "what else it does not reach proves nothing"
        )


def _read(line: str, node: str) -> tuple[Address, State]:
    host, port, code, *message = line.split(maxsplit=3)
    return (host, int(port)), _state(int(code), message[0] if message else "", f"{node} to {host}:{port}")


def _state(code: int, message: str, probe: str) -> State:
    if code == 0:
        return "open"
    if code == 124:
        return "filtered"
    if "refused" in message:
        return "closed"
    if "unreachable" in message or "No route" in message or "prohibited" in message:
        return "filtered"
    raise InconclusiveError(f"probe {probe} ended with {code}: {message}")


def _attempt(proxy: str | None, address: Address) -> State:
    seconds = scaled(SECONDS)
    try:
        made = (
            connect(proxy, *address, timeout=seconds) if proxy else socket.create_connection(address, seconds)
        )
    except ConnectionRefusedError:
        return "closed"
    except OSError as error:
        cause = error.__cause__
        refused = isinstance(cause, ProxyError) and cause.error_code == REFUSED_BY_PEER
        return "closed" if refused else "filtered"
    made.close()
    return "open"
