"""Faults: what is broken on purpose while programs are submitted, and what is observed meanwhile.

================  ==========================================================================================
``history``       what became of every submission: the entries, and their judge
``final_status``  Judge0 is polled until each submission is final
``pace``        how often programs are submitted: less than the deployment takes
``steady``        a constant rate: submissions at the front door, requests to a load balancer
``workload``      both while something breaks: started, recorded, stopped and judged
``fault``         the faults that a swarm can have
``power``         nodes lose their power
``partition``     a node of a swarm is cut off from the others
``link``          packets to a node are late or lost
``run``           one fault from beginning to end, and each only once for all checks
``expected``      what the topology promises for a fault of a swarm
``watch``         snapshots of the swarm, again and again
``orphan``        that nothing is rescheduled without a manager
``measure``       times of what was observed
``trial``         one fault of a swarm: until enough was observed, and until all is well again
``trials``        those that checks read
``section``       the report's ``failover``
================  ==========================================================================================

Dependencies go upwards in this table only. ``history`` and ``expected`` are pure. A fault is healed in any
case: when a run is interrupted, and when it fails.
"""
