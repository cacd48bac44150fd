"""The gate: checks and a load, held against limits and a baseline, as one verdict that CI can act on.

==================  ======================================================================================
``reading``         a report's ``load`` and a baseline's file as checked data; says what is wrong with them
``key``             what makes two experiments the same: workload, door, way, rate
``environment``     what makes their figures comparable, and what of it differs
``baseline``        what is kept of a report to be compared with later
``model``           one judgement, and all of them
``limits``          against the topology's ``objectives``
``against``         against a baseline
``judge``           everything that is judged of one report
``run``             checks, load, judgement and report, in that order
``document``        the gate as JSON; ``text``, ``markdown`` and ``junit`` make the rest of it
==================  ======================================================================================

Nothing here generates a load or tests a statistic: ``harness.load`` does.
"""
