"""A campaign in a process of its own, for tests that kill it: ``python mutation_worker.py STATE RUN_DIR``.

Its evidence source prints ``looking`` on stdout as soon as a mutant is in force, and then looks forever.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from mutation_rig import RUN, looked_at

from harness.core.progress import Progress
from harness.core.signals import Stopped
from harness.firewall.from_api import read
from harness.firewall.model import Pair
from harness.isolation.model import Observation
from harness.mutation.campaign import Campaign, carry_out
from harness.mutation.effect import baseline
from harness.mutation.generate import mutants
from harness.mutation.judge import EvidenceSources
from harness.run.rundir import RunDir
from harness.target.api import Api
from harness.target.target import resolve_target


def look_forever(pairs: Sequence[Pair], asked: object) -> Observation:
    sys.stdout.write("looking\n")
    sys.stdout.flush()
    while True:
        signal.pause()


def stop(signum: int, _frame: object) -> None:
    raise Stopped(signum)


def main(state_dir: Path, directory: Path) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    target = resolve_target("local", state_dir=state_dir, progress=Progress(quiet=True))
    with Api(target) as api:
        base = baseline(looked_at(read(api, RUN)))
        chosen = [each for each in mutants(base.network) if each.kind == "detached"]
        blind = EvidenceSources(look_forever, lambda _: (), lambda: ())
        made = Campaign(api, RunDir(directory, RUN), base, blind, lambda *_: True, whole=True)
        carry_out(made, chosen, [], lambda _done, _all: None)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
