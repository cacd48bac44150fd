"""Options that several commands share, and the settings made from them."""

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


class RenamedOption(click.Option):
    """An option whose former name is still accepted, but not shown in the help."""

    def __init__(self, *names: Any, former: str, **attributes: Any) -> None:
        super().__init__(*names, **attributes)
        self.former = former

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        super().add_to_parser(parser, ctx)
        parser.add_option(obj=self, opts=[self.former], dest=self.name, action="store", nargs=self.nargs)


_COMMON = (
    click.option(
        "--target",
        type=click.Choice(TARGETS),
        help="local: the emulator on this machine; do: DigitalOcean. Default: the run's target, or local.",
    ),
    click.option(
        "--topology",
        metavar="NAME|FILE",
        help="Name of a bundled topology, or path of a topology file. Default: the run's, or standard.",
    ),
    click.option(
        "--run", "run_name", metavar="NAME", help="Name of the run. Default: the latest (`up`: see docs)."
    ),
    click.option(
        "--app", type=click.Path(path_type=Path), help="Directory with the services' compose files."
    ),
    click.option(
        "--state-dir",
        type=click.Path(path_type=Path),
        default=STATE_DIR,
        show_default=True,
        help="Directory for the runs' keys, logs and reports.",
    ),
    click.option(
        "--endpoint", metavar="URL", help="URL of the API, without /v2 [env: DIGITALOCEAN_API_URL]."
    ),
    click.option(
        "--ca-file",
        type=click.Path(path_type=Path),
        help="CA certificate to trust for the API [env: WAVETANK_CA_FILE].",
    ),
    click.option("--proxy", metavar="URL", help="SOCKS5 proxy to public addresses [env: WAVETANK_PROXY]."),
    click.option(
        "--operator-cidr",
        "operators",
        multiple=True,
        metavar="CIDR",
        help="Public address of this machine, to allow ssh to the bastion from it. Repeatable "
        "[env: WAVETANK_OPERATORS].",
    ),
)


def _refuse(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value is not None:
        raise UsageError(
            f"`{context.command_path}` does not take {parameter.opts[0]}: a deployment that somebody else "
            f"made can only be read, with {', '.join(READERS)}"
        )


READERS = ("verify", "status", "drift", "diff", "explain", "report")
_EXISTING = (
    click.option(
        "--existing",
        metavar="TAG",
        help="Tag of a deployment that somebody else made, instead of --run. See docs/existing.md.",
    ),
    click.option(
        "--ssh-key",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Your private key for the nodes of the --existing deployment. Default: no login.",
    ),
    click.option(
        "--ssh-user",
        metavar="NAME",
        help="User name on the nodes of the --existing deployment. Default: root.",
    ),
)
_REFUSED = click.option(
    "--existing",
    metavar="TAG",
    hidden=True,
    expose_value=False,
    callback=_refuse,
    help="Not accepted: this command changes the deployment.",
)

output = click.option(
    "-o",
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Output format.",
)
yes = click.option("--yes", is_flag=True, help="Do not ask before creating resources that cost money.")
max_cost = click.option(
    "--max-cost",
    type=click.FloatRange(min=0),
    metavar="USD",
    help="Fail if the topology costs more than USD an hour.",
)
keyword = click.option(
    "-k",
    "keyword",
    metavar="EXPRESSION",
    help="Run only the checks that match EXPRESSION, as pytest -k does.",
)
faults = click.option(
    "--faults/--no-faults",
    default=None,
    help="Include the checks that power off machines. Default: only with --target local.",
)


def common(function: F) -> F:
    """Add the common options; the command takes them as ``**options`` for :func:`settings`.

    A command with these options works on Wavetank's own runs: it refuses ``--existing``.
    """
    return _with(function, (*_COMMON, _REFUSED))


def reading(function: F) -> F:
    """Add the common options to a read-only command, which also accepts ``--existing``."""
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
    """Print a result on stdout in the chosen format."""
    click.echo(as_json(document) if chosen == "json" else text)


def existing(choice: Choice) -> dict[str, str]:
    """The keys that a result has for an existing deployment; none for a run."""
    return {"existing": choice.place.tag} if choice.place else {}


def packets(given: Settings, option: str, *, asked: bool | None, default: bool) -> bool:
    """Whether to send packets. Raises ``UsageError`` if they are asked for with ``--existing``."""
    if given.existing is not None and asked:
        raise UsageError(f"{option} sends packets, which is not allowed with --existing: omit it")
    return given.existing is None and (default if asked is None else asked)
