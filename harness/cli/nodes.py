"""``wavetank ssh``, ``exec`` and ``logs``: log in to nodes, run commands on them, show their logs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.access.nodes import Nodes


@click.command(context_settings={"ignore_unknown_options": True})
@options.common
@click.argument("node")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(node: str, command: Sequence[str], **common: Any) -> int:
    """Log in to NODE, or run COMMAND there; exits with COMMAND's exit code (255: ssh failed)."""
    nodes = _open(common)
    return nodes.interactive(node, list(command))


@click.command("exec", context_settings={"ignore_unknown_options": True})
@options.common
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[NODE] -- COMMAND...")
@click.option("--role", metavar="ROLE", help="Run on every droplet with this role.")
@click.option("--all", "everywhere", is_flag=True, help="Run on every droplet.")
@click.option("--service", metavar="NAME", help="Run in this service's container, on every node that has it.")
@click.option(
    "--deadline", type=click.FloatRange(min=1), default=60.0, show_default=True, help="Timeout in seconds."
)
@options.output
def exec_(
    *,
    words: Sequence[str],
    role: str | None,
    everywhere: bool,
    service: str | None,
    deadline: float,
    output: str,
    **common: Any,
) -> int:
    """Run a command on one or several nodes at once; exit 1 if it failed on one of them."""
    from harness.access.nodes import Selection

    chosen = Selection.parse(words, role=role, everywhere=everywhere, service=service)
    results = _open(common).run_everywhere(chosen, deadline=deadline)
    document = [{"node": each.node, "exit": each.exit, "output": each.output} for each in results]
    several = len(results) > 1
    text = "\n".join(
        (f"== {each.node} (exit {each.exit})\n" if several else "") + each.output.rstrip() for each in results
    )
    options.show(document, text, output)
    return 1 if any(each.exit for each in results) else 0


@click.command()
@options.common
@click.argument("node", required=False)
@click.option("-f", "--follow", is_flag=True, help="Follow the logs until Ctrl-C.")
@click.option(
    "--tail",
    type=click.IntRange(min=0),
    default=200,
    show_default=True,
    help="Number of lines to show of each container.",
)
@click.option(
    "--bundle",
    is_flag=True,
    help="Collect the system and container logs of every node, and print the directory.",
)
def logs(node: str | None, follow: bool, tail: int, bundle: bool, **common: Any) -> int:
    """Show the container logs of NODE, or of every node."""
    nodes = _open(common)
    if bundle:
        click.echo(str(nodes.bundle()))
        return 0
    return nodes.logs([node] if node else list(nodes.deployment.nodes), follow=follow, tail=tail)


def _open(common: dict[str, Any]) -> Nodes:
    from harness.access import nodes
    from harness.core.progress import Progress
    from harness.run import settings

    return nodes.reach(settings.choose_existing(options.settings(common)), Progress())
