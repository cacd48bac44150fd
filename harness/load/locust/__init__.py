"""The same load from Locust's distributed mode: a master and workers, on this machine and on others.

====================  ====================================================================================
``shares``            the share of the load for each worker, and its JSON form
``channel``           JSON lines over a socket, between this process and the master
``master_address``    parse the master's HOST:PORT
``processes``         the Locust processes on this machine: started, watched, ended in every case
``merging``           merge what the workers recorded, and their progress
``running``           one run: wait for workers, hand out shares, follow, merge
``locust_file``       loaded by Locust in its own processes: the master relays, workers submit
``share_runner``      a worker's share, from its arrivals to its samples
``gevent_transport``  the engine's interface on gevent's sockets
====================  ====================================================================================

Locust patches the standard library when it is imported, so it is never imported in this process: only the
last three modules run beside it.
"""

from __future__ import annotations

import threading

from harness.load.experiments.bench import Generate, OnTick
from harness.load.locust.running import Team, check_team, run
from harness.load.model import Order, Recording

__all__ = ["generator"]


def generator(workers: int, *, expect: int = 0, bind: str = "127.0.0.1", port: int = 0) -> Generate:
    """A load generator that uses Locust: ``workers`` here, and ``expect`` more started on other machines.

    The master listens at ``bind`` and ``port``; 0: at any free one. Raises ``EngineError`` if Locust is
    not installed, ``UsageError`` if workers elsewhere could not find the master.
    """
    team = Team(workers, expect, bind, port)
    check_team(team)

    def generate(
        order: Order, *, on_tick: OnTick | None = None, stop: threading.Event | None = None
    ) -> Recording:
        return run(order, team, on_tick=on_tick, stop=stop)

    return generate
