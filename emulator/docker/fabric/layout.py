"""Addresses and ports of the emulated network that never change, from ranges that are nobody's (RFC 5737)."""

from __future__ import annotations

PUBLIC = "203.0.113.0/24"
PUBLIC_GATEWAY = "203.0.113.1"
RESOLVER = "203.0.113.2"
METADATA = "169.254.169.254"
OPERATOR = "198.51.100.10"
INTERNET = "192.0.2.10"
OUTSIDE = ("198.51.100.0/24", "192.0.2.0/24")
OPERATOR_PORT = 1080
INTERNET_PORT = 1081
DATABASE_DOMAIN = "db.ondigitalocean.com"


def for_container() -> dict[str, object]:
    """The fabric container's configuration at its start."""
    return {
        "public": PUBLIC,
        "gateway": PUBLIC_GATEWAY,
        "resolver": RESOLVER,
        "metadata": METADATA,
        "operator": OPERATOR,
        "internet": INTERNET,
        "outside": OUTSIDE,
        "operator_port": OPERATOR_PORT,
        "internet_port": INTERNET_PORT,
        "domains": [DATABASE_DOMAIN],
    }
