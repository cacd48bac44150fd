"""The configuration of a running nginx: how it is asked for, and which upstreams it has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from harness.core import nginx
from harness.core.errors import InconclusiveError
from harness.verify.balancer.balance import IN_TURN, Balance

METHODS = ("random", "least_conn", "least_time", "ip_hash", "hash", "sticky")
# What nginx says about its configuration, between the lines of it.
REMARK = re.compile(r"^nginx: .*$", re.MULTILINE)
# A name that the container's own /etc/hosts has, in a line that is a comment to nginx.
HOST = re.compile(r"^# host (\S+) (.+)$", re.MULTILINE)

# In a container: the configuration that each running nginx was started with, which need not be the default.
DUMP = """\
for file in /proc/[0-9]*/cmdline; do
  title=$(tr "\\0" " " <"$file" 2>/dev/null)
  case $title in "nginx: master process "*) ;; *) continue ;; esac
  set -f; set -- ${title#nginx: master process }; command=$1; options=
  while [ $# -gt 1 ]; do case $1 in -c|-p) options="$options $1 $2" ;; esac; shift; done
  $command $options -T
  sed -n "s/^\\([0-9.]*\\)[[:space:]][[:space:]]*\\(.*\\)/# host \\1 \\2/p" /etc/hosts
done"""
# On a node: of all its containers, for it need not be the first of them, nor the only one.
NGINX_CONFIG = f"""\
for each in $(docker ps -q); do docker exec "$each" sh -c '{DUMP}' 2>/dev/null || true; done"""


def parse(config: str) -> tuple[Balance, ...]:
    """The ``upstream`` blocks in what ``DUMP`` prints. Raises ``InconclusiveError`` if it is none.

    A server whose name is in the container's /etc/hosts has its addresses there, as for nginx itself.
    """
    hosts: dict[str, list[str]] = {}
    for address, names in HOST.findall(config):
        for name in names.split():
            hosts.setdefault(name, []).append(address)
    return tuple(
        _balance(each["args"][0], each["block"], hosts)
        for each in nginx.walk(_parsed(REMARK.sub("", config)))
        if each["directive"] == "upstream" and each["args"]
    )


def _parsed(config: str) -> list[nginx.Directive]:
    """nginx's directives; what is included stands after what includes it."""
    try:
        return nginx.parse(config)
    except nginx.NginxSyntaxError as error:
        raise InconclusiveError(f"nginx's configuration cannot be read: {error}") from error


def _balance(name: str, block: Sequence[nginx.Directive], hosts: Mapping[str, Sequence[str]]) -> Balance:
    weights: dict[str, int] = {}
    spares: list[str] = []
    for address, *options in (each["args"] for each in block if each["directive"] == "server"):
        host, colon, port = address.partition(":")
        addresses = [f"{known}{colon}{port}" for known in hosts.get(host, ())] or [address]
        if "backup" in options or "down" in options:
            spares += addresses
            continue
        given = [word.partition("=")[2] for word in options if word.startswith("weight=")]
        weights |= dict.fromkeys(addresses, int(given[0]) if given else 1)
    method = next((each["directive"] for each in block if each["directive"] in METHODS), IN_TURN)
    return Balance(name, weights, method, tuple(spares))
