"""Who may log in to a managed database, as the database itself lists it for the cluster's own user."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from harness.access.ssh import Access
from harness.access.tunnel import tunnel
from harness.core.errors import InconclusiveError
from harness.topology.deployment import DatabaseNode
from harness.verify.databases import login
from harness.verify.databases.login import Ask, RefusedError

SYSTEM = "postgres"  # PostgreSQL's own; on a cloud only its maker has it, as those that begin with "_"
VALKEY_DEFAULT = "default"
PUBLIC_PASSWORD, OPENED = "open", "wavetank_open"

T = TypeVar("T")


@dataclass(frozen=True)
class Login:
    """A user that may log in; ``open``: without any password."""

    name: str
    open: bool = False


def of(access: Access, node: str, database: DatabaseNode) -> tuple[Login, ...]:
    """All users that may log in to ``database``, asked from ``node``. Raises ``InconclusiveError``."""
    return ask(access, node, database, LISTS[database.engine])


def foreign(found: Iterable[Login], database: DatabaseNode, reported: Iterable[str]) -> tuple[str, ...]:
    """Descriptions of users that the API does not list, and of those that need no password."""
    known = {*reported, database.private.user, *({VALKEY_DEFAULT} if database.engine == "valkey" else ())}
    return tuple(
        f"{each.name}{' needs no password' if each.open else ', which the API does not list, may log in'}"
        for each in found
        if each.open or (each.name not in known and not _is_the_clouds(each.name, database.engine))
    )


def open_(access: Access, node: str, database: DatabaseNode) -> None:
    """Admit a user with a well-known password, or none. Raises ``InconclusiveError``."""
    ask(access, node, database, OPEN[database.engine])


def close(access: Access, node: str, database: DatabaseNode) -> None:
    """Remove that user again, if there is one. Raises ``InconclusiveError``."""
    if any(each.name == OPENED for each in of(access, node, database)):
        ask(access, node, database, CLOSE[database.engine])


def ask(access: Access, node: str, database: DatabaseNode, work: Callable[[Ask], T]) -> T:
    """The result of ``work`` in a session from ``node``. Raises ``InconclusiveError``."""
    at = database.private
    with tunnel(access, node, at.host, at.port) as path, socket.socket(socket.AF_UNIX) as stream:
        stream.settimeout(login.SECONDS)
        stream.connect(str(path))
        try:
            return login.session(database.engine, stream, at, database.ca_pem, work)
        except (RefusedError, OSError, EOFError) as error:
            raise InconclusiveError(f"{node} to {database.name}: {error}") from error


def of_acl(lines: Sequence[str]) -> tuple[Login, ...]:
    """Valkey's ``ACL LIST``: ``user NAME on|off ...``"""
    words = [each.split() for each in lines]
    return tuple(Login(each[1], "nopass" in each) for each in words if len(each) > 2 and "on" in each[2:])


def _roles(ask: Ask) -> tuple[Login, ...]:
    return tuple(Login(str(name)) for (name,) in ask("select rolname from pg_roles where rolcanlogin"))


def _users(ask: Ask) -> tuple[Login, ...]:
    return tuple(Login(str(each["user"])) for each in ask({"usersInfo": 1})["users"])


def _is_the_clouds(name: str, engine: str) -> bool:
    return engine == "pg" and (name == SYSTEM or name.startswith("_"))


LISTS: Mapping[str, Callable[[Ask], tuple[Login, ...]]] = {
    "pg": _roles,
    "valkey": lambda ask: of_acl(ask("ACL", "LIST")),
    "mongodb": _users,
}
OPEN: Mapping[str, Callable[[Ask], Any]] = {
    "pg": lambda ask: ask(f"create role {OPENED} login password '{PUBLIC_PASSWORD}'"),
    "valkey": lambda ask: ask("ACL", "SETUSER", OPENED, "on", "nopass", "~*", "&*", "+@all"),
    "mongodb": lambda ask: ask(
        {
            "createUser": OPENED,
            "pwd": PUBLIC_PASSWORD,
            "roles": [{"role": "readWriteAnyDatabase", "db": "admin"}],
        }
    ),
}
CLOSE: Mapping[str, Callable[[Ask], Any]] = {
    "pg": lambda ask: ask(f"drop role {OPENED}"),
    "valkey": lambda ask: ask("ACL", "DELUSER", OPENED),
    "mongodb": lambda ask: ask({"dropUser": OPENED}),
}
