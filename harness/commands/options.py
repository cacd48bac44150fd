"""Options that several commands share, and what they become."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from harness.settings import STATE_DIR, TARGETS, Settings, as_json

F = TypeVar("F", bound=Callable[..., Any])

_COMMON = (
    click.option(
        "--target",
        type=click.Choice(TARGETS),
        help="local: the emulator on this machine; do: DigitalOcean. Default: the run's own, or local.",
    ),
    click.option(
        "--topology",
        metavar="NAME|FILE",
        help="A name in topologies/ or a path. Default: the run's own, or standard.",
    ),
    click.option(
        "--run", "run_name", metavar="NAME", help="Which deployment. Default: the latest (`up`: see docs)."
    ),
    click.option("--app", type=click.Path(path_type=Path), help="Directory of the services' compose files."),
    click.option(
        "--state-dir",
        type=click.Path(path_type=Path),
        default=STATE_DIR,
        show_default=True,
        help="Where runs keep their key, logs and report.",
    ),
    click.option("--endpoint", metavar="URL", help="The API, without /v2 [env: DIGITALOCEAN_API_URL]."),
    click.option(
        "--ca-file", type=click.Path(path_type=Path), help="CA to trust for the API [env: WAVETANK_CA_FILE]."
    ),
    click.option(
        "--proxy", metavar="URL", help="SOCKS5 proxy towards public addresses [env: WAVETANK_PROXY]."
    ),
    click.option(
        "--operator-cidr",
        "operators",
        multiple=True,
        metavar="CIDR",
        help="Where this machine is seen from, for ssh to the bastion; repeatable [env: WAVETANK_OPERATORS].",
    ),
)

output = click.option(
    "-o", "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Format."
)
yes = click.option("--yes", is_flag=True, help="Do not ask before making what costs money.")
max_cost = click.option(
    "--max-cost", type=click.FloatRange(min=0), metavar="USD", help="Refuse what costs more in an hour."
)
keyword = click.option(
    "-k", "keyword", metavar="EXPRESSION", help="Only checks whose name matches, as pytest's -k."
)
faults = click.option(
    "--faults/--no-faults",
    default=None,
    help="Take power from machines, too. Default: on target local only.",
)


def common(function: F) -> F:
    """Add the common options; the command takes them as ``**options`` for :func:`settings`."""
    for option in reversed(_COMMON):
        function = option(function)
    return function


def settings(options: Mapping[str, Any]) -> Settings:
    """The common options as given. Raises ``UsageError``."""
    return Settings(
        target=options["target"],
        topology=options["topology"],
        run=options["run_name"],
        app=options["app"],
        state_dir=options["state_dir"],
        endpoint=options["endpoint"],
        ca_file=options["ca_file"],
        proxy=options["proxy"],
        operators=tuple(options["operators"]),
    )


def show(document: Any, text: str, chosen: str) -> None:
    """Print a result on stdout in the format that was chosen."""
    click.echo(as_json(document) if chosen == "json" else text)
