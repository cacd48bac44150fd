"""Load: generate submissions on a schedule, record the results, and measure a deployment with them.

======================  ==================================================================================
``model``               the plain data that all parts share
``schedule``            when arrivals are due: constant, Poisson, steps, ramp, a recorded trace
``workload``            what arrives: programs and their mix, read from YAML
``protocol``            the submission protocols: how one arrival is submitted and followed to its end
``recorder``            the result of each arrival
``engine``              the open-loop generator: epoll, timerfd, raw HTTP on persistent connections
``generator``           the engine in a separate process, with progress ticks
``stats``               histograms, warm-up, confidence intervals, knee search, scaling fits
``watch``               resource use of every node during a run, and the bottleneck
``experiments``         latency, capacity, scaling, soak, overload
``result``              the result of an experiment, as it is in the report
======================  ==================================================================================

Dependencies go upwards in this table only, and to ``harness.judge0``. Nothing here depends on the CLI.
"""
