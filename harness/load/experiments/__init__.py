"""The experiments: latency, capacity, scaling, soak and overload, and what the gate asks for.

``bench`` is what they work with, ``measure`` one run, ``repeat`` a series of them, ``found`` what goes into
the report; ``site`` makes a bench of a deployment, ``command`` is what the command line calls, ``gated`` what
the gate calls.
"""
