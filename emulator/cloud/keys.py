"""SSH keys."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING

from emulator.cloud.errors import NotFoundError, UnprocessableError
from emulator.cloud.models import SshKey

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

FIRST_ID = 45_000_001
INVALID = "Key invalid, key should be of the format `type key [comment]`"


def fingerprint(public_key: str) -> str:
    """The MD5 fingerprint, pairs joined by colons. Raises ``UnprocessableError`` if it is no public key."""
    parts = public_key.split()
    if len(parts) < 2:
        raise UnprocessableError(INVALID)
    try:
        blob = base64.b64decode(parts[1], validate=True)
    except binascii.Error as error:
        raise UnprocessableError(INVALID) from error
    name = parts[0].encode()
    if blob[: 4 + len(name)] != len(name).to_bytes(4, "big") + name:
        raise UnprocessableError(INVALID)
    return hashlib.md5(blob, usedforsecurity=False).digest().hex(":")


def create(cloud: Cloud, *, name: str, public_key: str) -> SshKey:
    """Register a public key once."""
    public_key = public_key.strip()
    if not name:
        raise UnprocessableError("Name can't be blank")
    print_ = fingerprint(public_key)
    with cloud.store.transaction():
        if any(key.fingerprint == print_ for key in cloud.store.all(SshKey)):
            raise UnprocessableError("SSH Key is already in use on your account")
        number = cloud.store.next_number("ssh_key", FIRST_ID)
        return cloud.store.put(SshKey(id=number, name=name, public_key=public_key, fingerprint=print_))


def get(cloud: Cloud, identifier: str | int) -> SshKey:
    """A key by id or fingerprint. Raises ``NotFoundError``."""
    for key in cloud.store.all(SshKey):
        if str(identifier) in (key.key, key.fingerprint):
            return key
    raise NotFoundError


def rename(cloud: Cloud, identifier: str, name: str) -> SshKey:
    """Give a key another name."""
    if not name:
        raise UnprocessableError("Name can't be blank")
    with cloud.store.transaction():
        return cloud.store.put(get(cloud, identifier).model_copy(update={"name": name}))


def delete(cloud: Cloud, identifier: str) -> None:
    """Forget a key; machines made with it keep it."""
    with cloud.store.transaction():
        cloud.store.delete(get(cloud, identifier))
