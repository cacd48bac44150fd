"""The same load from Locust's distributed mode: a master and workers, on this machine and on others.

============  ============================================================================================
``shares``    what each worker is to do, and its way through JSON
``line``      JSON lines over a socket, between us and the master
``crew``      the processes here: started, watched, ended in every case
``merging``   what the workers recorded, and how it goes, as one
``running``   one run: gather, hand out, follow, merge
``locust_file``  what Locust loads, in its own processes: a master that passes on, workers that hand in
``handing``   a worker's share, from its arrivals to its samples
``green``     the engine's face on gevent's sockets
============  ============================================================================================

Locust patches the standard library when it is imported, so it never is in this process: only the last three
run beside it.
"""

from __future__ import annotations

import threading

from harness.load.experiments.bench import Generate, OnTick
from harness.load.locust.running import Team, check_team, run
from harness.load.model import Order, Recording

__all__ = ["generator"]


def generator(workers: int, *, expect: int = 0, bind: str = "127.0.0.1", port: int = 0) -> Generate:
    """Who puts a load on by Locust: ``workers`` here, and ``expect`` more that are started elsewhere.

    The master listens at ``bind`` and ``port``; 0: at any free one. Raises ``EngineError`` where Locust is
    not installed, ``UsageError`` where workers elsewhere could not find the master.
    """
    team = Team(workers, expect, bind, port)
    check_team(team)

    def generate(
        order: Order, *, on_tick: OnTick | None = None, stop: threading.Event | None = None
    ) -> Recording:
        return run(order, team, on_tick=on_tick, stop=stop)

    return generate
