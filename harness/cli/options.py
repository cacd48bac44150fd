"""Options that several commands share, and what they become."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.core.errors import UsageError
from harness.run.settings import STATE_DIR, TARGETS, Settings, as_json

if TYPE_CHECKING:
    from harness.run.settings import Choice

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


def _refuse(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value is not None:
        raise UsageError(
            f"`{context.command_path}` takes no {parameter.opts[0]}: what somebody else made is only looked "
            f"at, by {', '.join(READERS)}"
        )


READERS = ("verify", "status", "drift", "diff", "explain", "report")
_EXISTING = (
    click.option(
        "--existing",
        metavar="TAG",
        help="In a run's place: what somebody else made, and tagged so. Only reads; see docs/existing.md.",
    ),
    click.option(
        "--ssh-key",
        type=click.Path(path_type=Path, dir_okay=False),
        help="With --existing: your private key for its nodes. Without one nothing logs in.",
    ),
    click.option(
        "--ssh-user", metavar="NAME", help="With --existing: who logs in to its nodes. Default: root."
    ),
)
_REFUSED = click.option(
    "--existing",
    metavar="TAG",
    hidden=True,
    expose_value=False,
    callback=_refuse,
    help="Refused: this does more than look.",
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
    """Add the common options; the command takes them as ``**options`` for :func:`settings`.

    A command that has these works on runs of ours: it refuses ``--existing``.
    """
    return _with(function, (*_COMMON, _REFUSED))


def reading(function: F) -> F:
    """Add the common options to a command that only reads, so that it may look at an existing deployment."""
    return _with(function, (*_COMMON, *_EXISTING))


def _with(function: F, options: Sequence[Callable[[F], F]]) -> F:
    for option in reversed(options):
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
        existing=options.get("existing"),
        ssh_key=options.get("ssh_key"),
        ssh_user=options.get("ssh_user"),
    )


def show(document: Any, text: str, chosen: str) -> None:
    """Print a result on stdout in the format that was chosen."""
    click.echo(as_json(document) if chosen == "json" else text)


def existing(choice: Choice) -> dict[str, str]:
    """What a result says of a deployment that somebody else made; nothing for a run."""
    return {"existing": choice.place.tag} if choice.place else {}


def packets(given: Settings, option: str, *, asked: bool | None, default: bool) -> bool:
    """Whether packets are to be sent. Raises ``UsageError`` for an existing deployment: none ever are."""
    if given.existing is not None and asked:
        raise UsageError(f"{option} sends packets, and with --existing none are: leave it out")
    return given.existing is None and (default if asked is None else asked)
