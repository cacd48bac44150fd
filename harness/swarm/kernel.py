"""Which features of a swarm a member's kernel supports, tried on the member itself."""

from __future__ import annotations

from dataclasses import dataclass

from harness.access.ssh import Access

DEADLINE = 30.0

# Docker loads these modules itself when it first needs them. An ESP state like that of an encrypted overlay
# is made in a network namespace of its own, and goes away with it.
PROBE = """\
for tool in ip unshare; do
  command -v "$tool" >/dev/null || { echo "$tool is not installed" >&2; exit 127; }
done
modprobe -a ip_vs esp4 xfrm_user 2>/dev/null
[ -e /proc/net/ip_vs ] && echo ipvs
unshare --net true || exit
unshare --net ip xfrm state add src 127.0.0.1 dst 127.0.0.1 proto esp spi 0x1000 reqid 1 mode transport \
  aead 'rfc4106(gcm(aes))' 0x00112233445566778899aabbccddeeff00112233 64 2>/dev/null && echo esp
true
"""


@dataclass(frozen=True)
class Kernel:
    """``ipvs``: virtual addresses of services and the routing mesh work. ``esp``: encrypted overlays work."""

    ipvs: bool
    esp: bool


def kernel(access: Access, node: str) -> Kernel:
    """What the kernel of ``node`` supports. Raises ``CommandError`` where that cannot be tried."""
    found = access.run(node, PROBE, deadline=DEADLINE).split()
    return Kernel("ipvs" in found, "esp" in found)
