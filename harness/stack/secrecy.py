"""What is secret: recognised by a variable's name, by its value, or by the content of a file."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from urllib.parse import quote

from harness.core.masking import SHORTEST

NAME = re.compile(
    r"PASS(WORD|WD|PHRASE)|SECRET|TOKEN|CREDENTIAL|(API|ACCESS|PRIVATE|ENCRYPTION|SIGNING)_?KEY|_(PASS|PWD)$",
    re.IGNORECASE,
)
# Such a variable says where something is: PASSWORD_FILE.
PLACE = re.compile(r"_(FILE|PATH|DIR)$", re.IGNORECASE)
# user:password@host
USER_INFO = re.compile(r"://[^/\s:@]*:([^/\s@]+)@")
# What looks like a variable in any file: it is for recognising secrets only.
ASSIGNMENT = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=(.*)$", re.MULTILINE)
PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")


def secret_names(environment: Mapping[str, str], passwords: Sequence[str]) -> frozenset[str]:
    """The names in ``environment`` whose values are secret.

    By value: it holds one of the ``passwords``, as it is or as in a URL, or is a URL with a password. By
    name: PASSWORD, SECRET, TOKEN, API_KEY and the like, but not PASSWORD_FILE. Empty values are none.
    """
    forms = url_forms(passwords)
    return frozenset(name for name, value in environment.items() if is_secret(name, value, forms))


def is_secret(name: str, value: str, forms: Collection[str]) -> bool:
    """Whether a variable's value is secret. ``forms``: see :func:`url_forms`."""
    return bool(value) and (
        has_secret_name(name) or bool(USER_INFO.search(value)) or any(form in value for form in forms)
    )


def has_secret_name(name: str) -> bool:
    """Whether a variable's name says that its value is secret."""
    return bool(NAME.search(name)) and not PLACE.search(name)


def url_forms(passwords: Collection[str], *, shortest: int = SHORTEST) -> frozenset[str]:
    """The passwords, as they are and as in a URL. Short ones, which would match by chance, are left out."""
    found = {*passwords, *(quote(each, safe="") for each in passwords)}
    return frozenset(each for each in found if len(each) >= shortest)


def holds_secret(content: bytes, forms: Collection[str]) -> bool:
    """Whether a file's content is secret: a private key, a password, or a secret variable."""
    if PRIVATE_KEY.search(content) or any(form.encode() in content for form in forms):
        return True
    assignments = ASSIGNMENT.findall(content.decode(errors="replace"))
    return bool(secret_names({name: value.strip().strip("'\"") for name, value in assignments}, ()))
