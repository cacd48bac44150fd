"""``wavetank diff``: compare the intended, the computed and the observed network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.isolation.model import Difference
    from harness.isolation.survey import Survey


@click.command()
@options.reading
@click.option(
    "--observe/--no-observe",
    default=None,
    help="Send packets, too. Default: yes. With --existing no packets are sent.",
)
@click.argument("start", metavar="[FROM", required=False)
@click.argument("end", metavar="TO]", required=False)
@options.output
def diff(*, observe: bool | None, start: str | None, end: str | None, output: str, **common: Any) -> int:
    """Compare what the topology intends, what the rules allow and what packets do; exit 1 if they differ.

    Compares all pairs, or only FROM and TO: droplets, databases, internet or stranger. Manual changes to the
    emulated network count as differences and are checked first. Exit 2 if nothing differs but a measurement
    is in doubt.
    """
    from harness.core.errors import UsageError
    from harness.isolation.session import open_network_session
    from harness.isolation.survey import survey

    if start and not end:
        raise UsageError("give both FROM and TO, or neither")
    given = options.settings(common)
    packets = options.packets(given, "--observe", asked=observe, default=True)
    stands = open_network_session(given)
    surveyed = survey(stands, (start, end) if start and end else None, observe=packets)
    document = {**_document(stands.choice.run, surveyed), **options.existing(stands.choice)}
    options.show(document, _text(surveyed), output)
    if surveyed.differences or surveyed.guests or surveyed.tampered:
        return 1
    return 2 if surveyed.doubts else 0


def _document(run: str, surveyed: Survey) -> dict[str, Any]:
    from harness.isolation.section import violation

    return {
        "run": run,
        "pairs": surveyed.pairs,
        "probes": surveyed.observation.probes if surveyed.observation else 0,
        "witnesses": list(surveyed.observation.evidence_sources) if surveyed.observation else [],
        "tampering": [str(each) for each in surveyed.tampered],
        "differences": [violation(each) for each in surveyed.differences],
        "guests": list(surveyed.guests),
        "inconclusive": list(surveyed.doubts),
        "notes": list(surveyed.notes),
    }


def _text(surveyed: Survey) -> str:
    from harness.isolation.counted.tampering import describe

    lines = [describe(surveyed.tampered)] if surveyed.tampered else []
    lines += [line for each in surveyed.differences for line in _describe(each)]
    if surveyed.tampered and not surveyed.differences:
        lines.append(f"no other difference: {surveyed.compared}")
    elif not surveyed.differences:
        lines.append(f"no difference: {surveyed.compared}")
    else:
        lines.append(f"{len(surveyed.differences)} differences: {surveyed.compared}")
    lines += [f"not of the run: {each}" for each in surveyed.guests]
    lines += [f"inconclusive: {each}" for each in surveyed.doubts]
    return "\n".join((*lines, *(f"note: {each}" for each in surveyed.notes)))


def _describe(each: Difference) -> list[str]:
    from harness.core import ports

    what = "icmp" if each.protocol == "icmp" else f"{ports.render(each.ports)}/{each.protocol}"
    views = f"intended {each.intended}, computed {each.computed}, observed {each.observed}"
    return [f"{each.pair} {what}: {views}", f"    {each.reason}", f"    $ {each.reproduce}"]
