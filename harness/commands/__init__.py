"""One file per command, or per family of commands. Each imports the rest of the harness only when it runs.

So ``wavetank --help`` answers at once. Options that commands share are in ``options``.
"""

from __future__ import annotations

import click

from harness.commands.baseline import baseline
from harness.commands.bench import bench
from harness.commands.diff import diff
from harness.commands.down import down, sweep
from harness.commands.drift import drift
from harness.commands.emulator import emulator
from harness.commands.explain import explain
from harness.commands.gate import gate
from harness.commands.link import link
from harness.commands.mutate import mutate
from harness.commands.nodes import exec_, logs, ssh
from harness.commands.price import price
from harness.commands.report import report
from harness.commands.run import run
from harness.commands.scale import scale
from harness.commands.setup import setup
from harness.commands.stack import stack
from harness.commands.status import status
from harness.commands.up import up
from harness.commands.verify import verify

COMMANDS: tuple[click.Command, ...] = (
    setup,
    up,
    run,
    status,
    verify,
    diff,
    explain,
    drift,
    mutate,
    bench,
    gate,
    baseline,
    report,
    stack,
    scale,
    link,
    ssh,
    exec_,
    logs,
    down,
    sweep,
    price,
    emulator,
)
