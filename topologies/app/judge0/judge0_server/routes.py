"""What Judge0's routes take: which paths there are, and which format an answer is asked in."""

import re
from collections.abc import Mapping
from typing import NamedTuple

# Of which the first is a path's, with what may follow it; a format may end any of them.
_PATH = re.compile(r"/*([^/.]*)(?:/+([^/.]+))?(?:\.([^/.]+))?/*")
_EXTENSION = re.compile(r"\.(\w+)$")

_ALONE = {
    "GET": frozenset(
        (
            "",
            "submissions",
            "languages",
            "statuses",
            "system_info",
            "config_info",
            "isolate",
            "about",
            "version",
            "license",
            "statistics",
            "workers",
        )
    ),
    "POST": frozenset(("submissions", "authenticate", "authorize")),
}
_WITH_MEMBER = {"GET": ("submissions", "languages"), "DELETE": ("submissions",)}
_JSON = ("application/json", "text/x-json", "application/jsonrequest")


class Route(NamedTuple):
    """`method` is GET for HEAD too; `member` is a token, an id, "batch", "all", or "" where there is none."""

    method: str
    name: str
    member: str

    @property
    def privileged(self) -> bool:
        """Whether it takes an authorization beside the authentication."""
        listing = self.method == "GET" and self.name == "submissions" and not self.member
        return listing or self.method == "DELETE" or self.name == "authorize"


def find(method: str, path: str) -> Route | None:
    """The route of a request, None where there is none."""
    found = _PATH.fullmatch(path)
    if not found:
        return None
    method = "GET" if method == "HEAD" else method
    route = Route(method, found[1], found[2] or "")
    if not route.member:
        return route if route.name in _ALONE.get(method, ()) else None
    if route.name in _WITH_MEMBER.get(method, ()) or route == ("POST", "submissions", "batch"):
        return route
    return None


def wants_json(path: str, given: Mapping[str, object], accept: str | None) -> bool:
    """Whether Rails would say in JSON what it says about an error: by suffix, parameter or header.

    A header with a list counts for nothing: it may be a browser's.
    """
    suffix = _EXTENSION.search(path)
    asked = suffix[1] if suffix else given.get("format")
    if asked:
        return asked == "json"
    return accept is not None and accept.partition(";")[0].strip() in _JSON
