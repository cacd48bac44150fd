"""The published table of what is implemented, made from the routes themselves::

python -m emulator.api.coverage > docs/api-coverage.md
"""

from __future__ import annotations

import sys

from emulator.api.app import SERVICES
from emulator.api.operations import operations
from emulator.cloud.databases import ENGINES
from emulator.cloud.droplet_actions import CHECKS, ELSEWHERE

HEADER = """# What the emulator implements of DigitalOcean's API

{done} of the {all} operations in DigitalOcean's OpenAPI document. Each of the others answers `501` with the
error id `not_implemented` and changes nothing; a path that DigitalOcean does not have answers `404`.

Droplet actions: {actions}. Not implemented: {missing_actions}.
Database engines: {engines}, one node each.

This file is made by `python -m emulator.api.coverage`.
"""


def table() -> str:
    """The whole document, Markdown."""
    services = [(service.service, list(service)) for service in SERVICES]
    known = {operation.id for operation in operations()}
    done = [route for _, routes in services for route in routes if route.operation in known]
    parts = [
        HEADER.format(
            done=len(done),
            all=len(known),
            actions=", ".join(f"`{name}`" for name in CHECKS),
            missing_actions=", ".join(f"`{name}`" for name in ELSEWHERE),
            engines=", ".join(f"`{name}` ({', '.join(engine.versions)})" for name, engine in ENGINES.items()),
        )
    ]
    for name, routes in services:
        rows = [
            f"| `{r.method}` | `{r.path}` | {f'`{r.operation}`' if r.operation else ''} |" for r in routes
        ]
        parts.append(
            f"## {name}\n\n| Method | Path | Operation |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    sys.stdout.write(table())
