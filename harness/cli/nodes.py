"""``wavetank ssh``, ``exec`` and ``logs``: be on the nodes of a deployment."""

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
    """Log in to NODE, or run a command there; the exit code is the command's own (255: ssh failed)."""
    reached = _reach(common)
    return reached.interactive(node, list(command))


@click.command("exec", context_settings={"ignore_unknown_options": True})
@options.common
@click.argument("words", nargs=-1, required=True, type=click.UNPROCESSED, metavar="[NODE] -- COMMAND...")
@click.option("--role", metavar="ROLE", help="On every droplet of this role.")
@click.option("--all", "everywhere", is_flag=True, help="On every droplet.")
@click.option("--service", metavar="NAME", help="Inside this service's container, wherever it runs.")
@click.option("--deadline", type=click.FloatRange(min=1), default=60.0, show_default=True, help="Seconds.")
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
    """Run one command on a node, or on several at once; exit 1 if it failed on one of them."""
    from harness.access.nodes import Selection

    chosen = Selection.parse(words, role=role, everywhere=everywhere, service=service)
    results = _reach(common).run_everywhere(chosen, deadline=deadline)
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
@click.option("-f", "--follow", is_flag=True, help="Go on showing what comes, until ctrl-C.")
@click.option("--tail", type=click.IntRange(min=0), default=200, show_default=True, help="Lines a container.")
@click.option("--bundle", is_flag=True, help="Collect every node's system and container logs; print where.")
def logs(node: str | None, follow: bool, tail: int, bundle: bool, **common: Any) -> int:
    """Show what the containers of NODE, or of every node, have said."""
    reached = _reach(common)
    if bundle:
        click.echo(str(reached.bundle()))
        return 0
    return reached.logs([node] if node else list(reached.deployment.nodes), follow=follow, tail=tail)


def _reach(common: dict[str, Any]) -> Nodes:
    from harness.access import nodes
    from harness.core.progress import Progress
    from harness.run import settings

    return nodes.reach(settings.choose_existing(options.settings(common)), Progress())
