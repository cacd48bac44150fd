"""One file per command, or per family of commands. Each imports the rest of the harness only when it runs.

So ``wavetank --help`` answers at once. Options that commands share are in ``options``.
"""

from __future__ import annotations

import click

from harness.cli.baseline import baseline
from harness.cli.bench import bench
from harness.cli.compose import compose
from harness.cli.diff import diff
from harness.cli.down import down, sweep
from harness.cli.drift import drift
from harness.cli.emulator import emulator
from harness.cli.explain import explain
from harness.cli.gate import gate
from harness.cli.link import link
from harness.cli.mutate import mutate
from harness.cli.nodes import exec_, logs, ssh
from harness.cli.price import price
from harness.cli.report import report
from harness.cli.run import run
from harness.cli.scale import scale
from harness.cli.setup import setup
from harness.cli.stack import stack
from harness.cli.status import status
from harness.cli.up import up
from harness.cli.verify import verify

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
    compose,
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
