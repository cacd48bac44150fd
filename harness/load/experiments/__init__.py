"""The experiments: latency, capacity, scaling, soak and overload, and the load for the gate.

``bench`` is their test bench, ``measure`` one run, ``repeat`` a series of runs, ``found`` makes the entry in
the report; ``site`` makes a bench of a deployment, ``command`` is called by the command line, ``gated`` by
the gate.
"""
