"""``wavetank link``: packet delay and packet loss on the links of emulated droplets."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.faults.link import Quality

MILLISECONDS = {"ms": 1.0, "s": 1000.0}


class Delay(click.ParamType[float]):
    """Milliseconds, from a number and a unit: ``20ms``, ``1.5s``."""

    name = "delay"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        matched = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s)", value)
        if not matched:
            self.fail(f"{value!r} is not a delay: use a number and ms or s, like 20ms", param, ctx)
        return float(matched[1]) * MILLISECONDS[matched[2]]


class Share(click.ParamType[float]):
    """Percent: ``0.5%``."""

    name = "share"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        matched = re.fullmatch(r"(\d+(?:\.\d+)?)%", value)
        if not matched or float(matched[1]) > 100:
            self.fail(f"{value!r} is not a packet loss: use 0% to 100%, like 0.5%", param, ctx)
        return float(matched[1])


@click.command()
@options.common
@click.argument("node", required=False)
@click.option("--delay", type=Delay(), default=0.0, metavar="TIME", help="Delay of packets, like 20ms.")
@click.option("--jitter", type=Delay(), default=0.0, metavar="TIME", help="Random variation of the delay.")
@click.option("--loss", type=Share(), default=0.0, metavar="PERCENT", help="Packet loss, like 1%.")
@click.option("--clear", is_flag=True, help="Remove delay and loss of NODE, or of all nodes.")
@options.output
def link(
    *, node: str | None, delay: float, jitter: float, loss: float, clear: bool, output: str, **common: Any
) -> int:
    """Delay and drop packets to NODE (emulator only); without options, show the current settings."""
    from harness import provision
    from harness.core.progress import Progress
    from harness.faults import link as links
    from harness.run import settings

    wanted = links.Quality(delay, jitter, loss)
    _check(node, wanted, clear=clear)
    choice = settings.choose_existing(options.settings(common))
    target = settings.resolve_existing(choice, Progress())
    deployment = provision.observe(target, settings.load_topology(choice), choice.run)
    found = links.read(target, deployment)
    names = [_known(node, list(found))] if node else list(found)
    if clear or wanted != links.PERFECT:
        for name in names:
            links.shape(target, deployment, name, wanted)
        found = links.read(target, deployment)
    shown = {name: found[name] for name in names}
    text = "\n".join(f"{name}: {quality}" for name, quality in shown.items())
    options.show({"links": {name: asdict(each) for name, each in shown.items()}}, text, output)
    return 0


def _check(node: str | None, wanted: Quality, *, clear: bool) -> None:
    from harness.core.errors import UsageError
    from harness.faults.link import MOST_DELAY_MS, PERFECT

    if wanted.delay_ms > MOST_DELAY_MS:
        raise UsageError(f"--delay: at most {MOST_DELAY_MS / 1000:g}s")
    if wanted.jitter_ms > wanted.delay_ms:
        raise UsageError("--jitter is more than --delay: no packet can arrive before it is sent")
    if clear and wanted != PERFECT:
        raise UsageError("--clear removes delay and loss: omit --delay, --jitter and --loss")
    if node is None and wanted != PERFECT:
        raise UsageError("give the node: wavetank link NODE --delay 20ms")


def _known(node: str, nodes: list[str]) -> str:
    from harness.core.errors import UsageError

    if node not in nodes:
        raise UsageError(f"no node {node!r}; existing nodes: {', '.join(nodes) or 'none'}")
    return node
