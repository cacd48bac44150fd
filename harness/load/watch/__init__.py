"""Monitoring of every node during a load, and the bottleneck.

===============  =====================================================================================
``loop``         the shell loop that prints a node's CPU and memory, once a second
``readings``     parse what that loop prints
``counters``     readings of growing counters, and the series made from them
``feed``         the lines of a command that runs until it is stopped, in a thread of its own
``repeat``       call something once a second, in a thread of its own
``machine``      this machine's own CPU
``databases``    the emulator's resource use of managed databases
``workers``      Judge0's ``/workers`` as a queue
``watching``     all of these during a run
``kinds``        which node or service is a worker, a server, the balancer
``uses``         how busy each was in the steady part of a run
``facts``        what is known of a run
``bottleneck``   what limited a run, by the rules in docs/bottleneck.md
``noise``        timing noise of this machine
``environment``  where a run took place: kernel, cores, versions, limits, noise
===============  =====================================================================================
"""

from harness.load.watch.bottleneck import Facts, bottleneck
from harness.load.watch.environment import environment
from harness.load.watch.kinds import kinds
from harness.load.watch.watching import Observed, Watch, watching

__all__ = ["Facts", "Observed", "Watch", "bottleneck", "environment", "kinds", "watching"]
