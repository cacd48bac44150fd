"""Load: what is handed in when, who hands it in, what came back, and what that says of a deployment.

======================  ==================================================================================
``model``               the plain data that all parts share
``schedule``            when arrivals are due: constant, Poisson, steps, ramp, a recorded trace
``workload``            what arrives: programs and their mix, read from YAML
``protocol``                how one arrival is handed in and followed to its end
``recorder``            what became of each arrival
``engine``              the open-loop generator: epoll, timerfd, raw HTTP on kept connections
``generator``           the engine in a process of its own, with ticks for whoever watches
``stats``               histograms, warm-up, confidence intervals, knee search, scaling fits
``watch``               what every node does meanwhile, and what of it was the bottleneck
``experiments``         latency, capacity, scaling, soak, overload
``result``              what an experiment found, as it stands in the report
======================  ==================================================================================

Dependencies go upwards in this table only, and to ``harness.judge0``. Nothing here knows the command line.
"""
