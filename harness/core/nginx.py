"""nginx's configuration language, read by crossplane: directives with their lines, whatever they stand in."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Directive = Mapping[str, Any]  # crossplane's: "directive", "args", "line" and, where there is one, "block"

FILE = "nginx.conf"


class NginxSyntaxError(ValueError):
    """A text is not nginx's configuration; ``line`` is where, if that is known."""

    def __init__(self, problem: str, line: int | None) -> None:
        self.line = line
        super().__init__(problem)


def parse(text: str) -> list[Directive]:
    """The directives of a text. What it includes is not read. Raises ``NginxSyntaxError``."""
    import crossplane  # only where there is an nginx

    with tempfile.TemporaryDirectory(prefix="wt-nginx-") as directory:
        file = Path(directory) / FILE
        file.write_text(text)
        found = crossplane.parse(str(file), single=True, check_ctx=False, check_args=False)
    for error in found["errors"]:
        raise NginxSyntaxError(str(error["error"]).partition(f" in {file}")[0], error["line"])
    return [each for one in found["config"] for each in one["parsed"]]


def walk(directives: Sequence[Directive]) -> Iterator[Directive]:
    """All of them, those in blocks after what they stand in."""
    for each in directives:
        yield each
        yield from walk(each.get("block") or ())
