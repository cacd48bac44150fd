"""Failover of a swarm: nodes lose power or are cut off while programs are handed in, and all is measured.

``fault`` says what there is to be broken, ``expected`` what the topology promises then; ``partition`` and
``harness.verify.faults`` break it, through the API. ``trial`` is one fault from beginning to end, ``watch``
looks at the swarm meanwhile, ``orphan`` proves that nothing is rescheduled without a manager. ``measure``
makes times of what was seen, ``section`` the report's ``failover``; these two are pure.
"""
