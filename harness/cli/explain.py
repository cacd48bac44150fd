"""``wavetank explain``: one flow, rule by rule."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from harness.cli import options

if TYPE_CHECKING:
    from harness.isolation.explain import Explanation

STEPS = {"out": "egress rules", "in": "ingress rules", "route": "route"}


@click.command()
@options.reading
@click.argument("start", metavar="FROM")
@click.argument("end", metavar="TO")
@click.argument("port")
@click.option("--public", is_flag=True, help="Use TO's public address. Default: its private address.")
@click.option(
    "--probe/--no-probe",
    default=None,
    help="Send one probe. Default: only in an emulator that runs machines.",
)
@options.output
def explain(
    *, start: str, end: str, port: str, public: bool, probe: bool | None, output: str, **common: Any
) -> int:
    """Explain why FROM can or cannot reach TO on PORT; exit 1 if that is not as intended.

    FROM and TO are droplets, databases, internet, stranger or operators; PORT is 22, 22/tcp, 53/udp or icmp.
    """
    from harness.isolation import explain as explaining
    from harness.isolation.observe import has_packet_counters
    from harness.isolation.session import open_network_session

    explaining.flow(port)
    given = options.settings(common)
    options.packets(given, "--probe", asked=probe, default=True)
    stands = open_network_session(given)
    asked = explaining.parse_query(stands.network, stands.topology, (start, end, port), public=public)
    sent = options.packets(given, "--probe", asked=probe, default=has_packet_counters(stands.target))
    told = explaining.explain(stands, asked, probe=sent)
    options.show(_document(told), _text(told, stands.network.notes), output)
    if told.differences or told.tampered:
        return 1
    return 2 if told.observed == "inconclusive" else 0


def _document(told: Explanation) -> dict[str, Any]:
    pair = told.query.pair
    return {
        "source": pair.source,
        "target": pair.target,
        "side": pair.side,
        "protocol": told.query.protocol,
        "port": told.query.port or None,
        "intended": "admitted" if told.meant else "denied",
        "meant": list(told.meant),
        "computed": "admitted" if told.walk.admitted else "denied",
        "steps": [asdict(each) for each in told.walk.steps],
        "notes": list(told.walk.notes),
        "observed": told.observed,
        "unasked": told.not_probed,
        "doubts": list(told.result.doubts) if told.result else [],
        "tampering": list(told.tampered),
        "counted": list(told.counted),
        "differences": [each.reason for each in told.differences],
    }


def _text(told: Explanation, notes: tuple[str, ...]) -> str:
    lines = [str(told.query)]
    lines += [
        f"  {STEPS[each.gate]:16} {'pass' if each.admits else 'STOP'}  {each.reason}"
        for each in told.walk.steps
    ]
    verdict = "admitted" if told.walk.admitted else f"denied by the {STEPS[told.walk.decides.gate]}"
    lines.append(f"  {'computed':16} {verdict}")
    lines += [f"  {'intended':16} yes: {each}" for each in told.meant] or [
        f"  {'intended':16} no: no line of the intent allows it"
    ]
    lines.append(f"  {'observed':16} {told.observed}{f' ({told.not_probed})' if told.not_probed else ''}")
    lines += [f"  {'':16} {each}" for each in (told.result.doubts if told.result else ())]
    lines += [f"  {'TAMPERED':16} {each}" for each in told.tampered]
    lines += [f"  {'counted':16} {each}" for each in told.counted]
    lines += [f"  {'note':16} {each}" for each in (*told.walk.notes, *notes)]
    lines += [f"  {'DIFFERENCE':16} {each.reason}\n  {'':16} {each.reproduce}" for each in told.differences]
    return "\n".join(lines)
