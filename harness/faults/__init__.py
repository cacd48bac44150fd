"""Faults: what is broken on purpose while programs are handed in, and what is seen meanwhile.

================  ==========================================================================================
``history``       what became of every submission: entries, and who judges them
``final_status``  Judge0 asked until each submission is final
``steady``        so many a second: submissions at the front door, requests to a load balancer
``workload``      both while something breaks: begun, kept, stopped and judged
``fault``         what there is to be broken in a swarm
``power``         nodes lose their power
``partition``     a node of a swarm is cut off from the others
``link``          packets to a node are late or lost
``run``           one fault from beginning to end, and once for all who ask
``expected``      what the topology promises of a fault of a swarm
``watch``         the swarm, looked at again and again
``orphan``        that nothing is rescheduled without a manager
``measure``       times of what was seen
``trial``         one fault of a swarm: when enough was seen, and when all is well again
``trials``        those that checks read
``section``       the report's ``failover``
================  ==========================================================================================

Dependencies go upwards in this table only. ``history`` and ``expected`` are pure. A fault is healed in any
case: when a run is interrupted, and when it fails.
"""
