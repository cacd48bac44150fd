"""Prove, with packets, that this kernel enforces what nft is told: in three scratch namespaces."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator

from wt_fabric.command import FabricError, ip_batch, run, socket_in

PREFIX = "selftest-"
SENDER, ROUTER, RECEIVER = (f"{PREFIX}{name}" for name in ("a", "r", "b"))
PORT = 9
RULES = """
add table inet selftest
flush table inet selftest
table inet selftest {
    counter seen { }
    chain forward { type filter hook forward priority filter; policy drop; counter name seen %s; }
}
"""


@contextlib.contextmanager
def beside() -> Iterator[None]:
    """Prove enforcement while the block is at work. Raises what that raises, when the block has ended.

    It mostly waits for packets and programs, in namespaces of its own.
    """
    failed: list[Exception] = []

    def work() -> None:
        try:
            prove_enforcement()
        except Exception as error:  # noqa: BLE001 (raised again below)
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()
        for error in failed:  # it says more than what failed beside it
            raise error


def prove_enforcement() -> None:
    """Raise ``FabricError`` unless a drop rule stops a packet and an accept rule lets it pass."""
    try:
        _scratch()
        if _passes("drop"):
            raise FabricError("nft took a drop rule but a packet passed it: rules cannot be enforced here")
        if not _passes("accept"):
            raise FabricError("a packet that was let pass did not arrive: this kernel does not forward")
    finally:
        for namespace in (SENDER, ROUTER, RECEIVER):
            with contextlib.suppress(FabricError):  # it may never have been made
                run("ip", "netns", "del", namespace)


def _scratch() -> None:
    try:
        _make_scratch()
    except FabricError as error:
        raise FabricError(
            f"network namespaces cannot be made and linked ({error}); the fabric's container needs the "
            "capabilities SYS_ADMIN and NET_ADMIN and no seccomp or AppArmor profile in its way"
        ) from error


def _make_scratch() -> None:
    ip_batch([f"netns add {namespace}" for namespace in (SENDER, ROUTER, RECEIVER)])
    for index, namespace in enumerate((SENDER, RECEIVER), 1):
        net = f"198.18.{index}"
        ip_batch(
            [f"link add v{index} type veth peer name v0 netns {namespace}",
             f"addr add {net}.1/24 dev v{index}", f"link set v{index} up"],
            inside=("ip", "netns", "exec", ROUTER),
        )  # fmt: skip
        ip_batch(
            [f"addr add {net}.2/24 dev v0", "link set v0 up", f"route add default via {net}.1"],
            inside=("ip", "netns", "exec", namespace),
        )
    run("ip", "netns", "exec", ROUTER, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward")


def _passes(verdict: str) -> bool:
    """Send one datagram through the router under ``verdict``; both witnesses must agree on what happened."""
    try:
        run("ip", "netns", "exec", ROUTER, "nft", "-f", "-", stdin=RULES % verdict)
    except FabricError as error:
        raise FabricError(
            f"packet filters cannot be loaded, so nothing would be enforced: {error}"
        ) from error
    with socket_in(RECEIVER, socket.SOCK_DGRAM) as receiver, socket_in(SENDER, socket.SOCK_DGRAM) as sender:
        receiver.bind(("198.18.2.2", PORT))
        sender.connect(("198.18.2.2", PORT))
        sender.send(b"wavetank")
        # ARP and the filter take a moment; each round asks both witnesses.
        for _ in range(100):
            if _arrived(receiver):
                return True
            if verdict == "drop" and _seen():
                return _arrived(receiver)
    raise FabricError("a test packet reached neither its target nor the filter: this kernel does not forward")


def _arrived(receiver: socket.socket) -> bool:
    receiver.settimeout(0.02)
    with contextlib.suppress(TimeoutError):
        receiver.recv(64)
        return True
    return False


def _seen() -> bool:
    counter = run("ip", "netns", "exec", ROUTER, "nft", "list", "counter", "inet", "selftest", "seen")
    return "packets 0 " not in counter
