"""What every node does while a load is on, and what of it was the bottleneck.

===============  =====================================================================================
``loop``         the shell loop that prints a node's CPU and memory, once a second
``told``         what that loop prints, as readings
``readings``        readings of growing counters, and the series that they make
``feed``         the lines of a command that runs until it is told to end, in a thread of its own
``repeat``       something else done once a second, in a thread of its own
``machine``      this machine's own CPU
``databases``    what an emulator tells of its managed databases
``workers``      Judge0's ``/workers`` as a queue
``watching``     all of these while a run goes on
``kinds``        which node or service is a worker, a server, the balancer
``uses``         how busy that was in the steady part of a run
``facts``        what is known of a run
``bottleneck``   what limited a run, by stated rules (docs/bottleneck.md)
``noise``        how calmly this machine keeps time
``environment``  where a run took place: kernel, cores, versions, limits, noise
===============  =====================================================================================
"""

from harness.load.watch.bottleneck import Facts, bottleneck
from harness.load.watch.environment import environment
from harness.load.watch.kinds import kinds
from harness.load.watch.watching import Seen, Watch, watching

__all__ = ["Facts", "Seen", "Watch", "bottleneck", "environment", "kinds", "watching"]
