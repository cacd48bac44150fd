"""A target is data: the API's address, its token, and how a TCP connection reaches a public address.

``local`` and ``do`` differ in nothing else, so other modules take a :class:`Target` and need not know which
one it is.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.core.documents import read_bytes
from harness.core.errors import ApiError, CredentialsError, EngineError, UsageError
from harness.core.wait import scaled

if TYPE_CHECKING:
    from harness.core.progress import Progress
    from harness.target.emulator_process import EmulatorStatus

CLOUD = "https://api.digitalocean.com"
DOCUMENTATION = tuple(map(ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")))
INFO_SECONDS = 10


@dataclass(frozen=True)
class Target:
    """The API and network access of a deployment.

    ``endpoint`` is the API's URL without ``/v2``; ``ca_file`` the CA to trust for it (None: the system's);
    ``proxy`` a ``socks5://host:port`` through which public addresses are reached (None: directly);
    ``operators`` the CIDRs of this machine's public addresses; ``info`` the answer of ``/_wavetank/info``
    (empty: a cloud). ``read_only``: clients of this target send nothing but GET.
    """

    name: str
    endpoint: str
    token: str = field(repr=False)
    ca_file: Path | None = None
    proxy: str | None = None
    operators: tuple[str, ...] = ()
    info: Mapping[str, Any] = field(default_factory=dict)
    read_only: bool = False

    def require_machines(self, *addresses: str) -> None:
        """Raise ``EngineError`` if no machine has these addresses: packets to them would leave this machine.

        A documentation address among ``addresses`` is an emulator's, and is only reached through its proxy.
        """
        if self.info.get("plane") == "memory":
            raise EngineError("the emulator's memory plane runs no machines: there is nothing to connect to")
        unreachable = [each for each in addresses if not self.proxy and is_for_documentation(each)]
        if unreachable:
            raise EngineError(
                f"{unreachable[0]} is a documentation address (RFC 5737), so {self.endpoint} is an emulator: "
                "use --target local, or give its proxy with --proxy or WAVETANK_PROXY"
            )


def resolve_target(
    name: str,
    *,
    state_dir: Path,
    token: str | None = None,
    endpoint: str | None = None,
    ca_file: Path | None = None,
    proxy: str | None = None,
    operators: Sequence[str] = (),
    droplets: str | None = None,
    progress: Progress,
) -> Target:
    """The target ``local`` or ``do``, after a request has shown that it answers and accepts the token.

    Defaults come from ``DIGITALOCEAN_TOKEN``, ``DIGITALOCEAN_API_URL``, ``WAVETANK_CA_FILE``,
    ``WAVETANK_PROXY`` and ``WAVETANK_OPERATORS`` (CIDRs, separated by commas); for ``local`` everything comes
    from the emulator, started with ``droplets`` if none is running. Raises ``UsageError``,
    ``CredentialsError`` (token missing or refused), ``EngineError`` (no emulator, or one of other droplets)
    or ``ApiError`` (nothing answers).
    """
    if name == "local":
        from harness.target import emulator_process

        found = emulator_process.start(state_dir, progress, auto=True, droplets=droplets)
        return _local(found, proxy, operators)
    if name != "do":
        raise UsageError(f"unknown target {name!r}: use local or do")
    target = Target(
        name,
        check_endpoint(endpoint or os.environ.get("DIGITALOCEAN_API_URL") or CLOUD),
        _token(token),
        _ca_file(ca_file),
        proxy or os.environ.get("WAVETANK_PROXY") or None,
        check_operators(operators or os.environ.get("WAVETANK_OPERATORS", "").split(",")),
    )
    _check_token(target)
    return target


def check_endpoint(endpoint: str) -> str:
    """``endpoint`` as a URL without ``/v2`` and slashes at its end. Raises ``UsageError``."""
    if endpoint.startswith("http://"):
        raise UsageError(
            f"endpoint {endpoint}: tokens are sent over https only; use the https:// address "
            "(the emulator has one; give its CA with --ca-file or WAVETANK_CA_FILE)"
        )
    if not endpoint.startswith("https://"):
        raise UsageError(f"endpoint {endpoint!r} is not valid: it must begin with https://")
    return endpoint.rstrip("/").removesuffix("/v2").rstrip("/")


def check_operators(operators: Sequence[str]) -> tuple[str, ...]:
    """The CIDRs in their canonical form; a lone address gets its /32 or /128. Raises ``UsageError``."""
    given = [each.strip() for each in operators if each.strip()]
    try:
        return tuple(str(ip_network(each, strict=False)) for each in given)
    except ValueError as error:
        raise UsageError(f"--operator-cidr: {error}; use a CIDR like 198.51.100.7/32") from error


def is_for_documentation(address: str) -> bool:
    """Whether an address is in RFC 5737's ranges, which nobody owns; emulators use addresses from these."""
    try:
        return any(ip_address(address) in network for network in DOCUMENTATION)
    except ValueError:  # a host name
        return False


def _token(token: str | None) -> str:
    found = (token or os.environ.get("DIGITALOCEAN_TOKEN", "")).strip()
    if not found:
        raise CredentialsError(
            "no DigitalOcean token: set DIGITALOCEAN_TOKEN to one with read and write scope "
            "(made at https://cloud.digitalocean.com/account/api/tokens)"
        )
    return found


def _ca_file(given: Path | None) -> Path | None:
    named = str(given or os.environ.get("WAVETANK_CA_FILE", ""))
    if not named:
        return None
    file = Path(named)
    if not file.is_file():
        raise UsageError(f"CA file {named}: no such file")
    read_bytes(file)
    try:
        ssl.create_default_context(cafile=named)
    except ssl.SSLError as error:
        raise UsageError(f"CA file {named} is not a PEM certificate: {error}") from error
    return file.resolve()


def _check_token(target: Target) -> None:
    from harness.target.api import Api

    with Api(target, read_only=True) as api:
        api.client.account.get()


def _local(emulator: EmulatorStatus, proxy: str | None, operators: Sequence[str]) -> Target:
    info = _info(emulator)
    own = [f"{info['operator_ip']}/32"] if info.get("operator_ip") else []
    return Target(
        "local",
        emulator.https,
        emulator.token,
        emulator.ca_file,
        proxy or info.get("proxy") or None,
        check_operators(operators or own),
        info,
    )


def _info(emulator: EmulatorStatus) -> dict[str, Any]:
    import httpx

    url = f"{emulator.http}/_wavetank/info"
    headers = {"authorization": f"Bearer {emulator.token}"}
    try:
        answer = httpx.get(
            url, headers=headers, timeout=scaled(INFO_SECONDS), trust_env=False
        ).raise_for_status()
    except httpx.HTTPError as error:
        raise ApiError(f"GET {url}", 0, "unreachable", str(error)) from error
    document: dict[str, Any] = answer.json()
    return document
