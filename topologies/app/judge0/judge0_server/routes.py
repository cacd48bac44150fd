"""What Judge0's routes take: which paths there are, and which format an answer is asked in."""

import re
from collections.abc import Mapping
from typing import NamedTuple

# Of which the first is a path's, with what may follow it; a format may end any of them.
_PATH = re.compile(r"/*([^/.]*)(?:/+([^/.]+))?(?:\.([^/.]+))?/*")
_BROWSER = re.compile(r",\s*\*/\*|\*/\*\s*,")
_QUALITY = re.compile(r";\s*q=([0-9]*\.?[0-9]+)")
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


def wants_json(path: str, given: Mapping[str, object] | None, headers: Mapping[str, str]) -> bool:
    """Whether Rails would say in JSON what it says about an error: by suffix, parameter or header.

    `given` are the parameters, None where the path leads nowhere or they cannot be read. Names of `headers`
    are in lower case.
    """
    suffix = _EXTENSION.search(path)
    asked = (suffix[1] if suffix else given.get("format")) if given is not None else None
    if asked:
        return asked == "json"
    if accepted := _accepted(headers):
        return accepted in _JSON
    return suffix is not None and suffix[1] == "json"


def _accepted(headers: Mapping[str, str]) -> str:
    """The type that a client prefers; "" where it says none, or may be a browser that takes everything."""
    accept = headers.get("accept", "").strip()
    by_script = headers.get("x-requested-with", "").lower() == "xmlhttprequest"
    if not accept:
        return headers.get("content-type", "").partition(";")[0].strip() if by_script else ""
    if _BROWSER.search(accept) and not by_script:
        return ""
    return max(accept.split(","), key=_quality).partition(";")[0].strip()


def _quality(part: str) -> float:
    found = _QUALITY.search(part)
    return float(found[1]) if found else 1.0
