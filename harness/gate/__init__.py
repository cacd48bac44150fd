"""The quality gate: checks and a load, compared with limits and a baseline, as one verdict for CI.

==================  ======================================================================================
``reading``         a report's ``load`` and a baseline's file as validated data, with errors
``key``             what makes two experiments the same: workload, entry point, submission mode, rate
``environment``     what makes their figures comparable, and what of it differs
``baseline``        what is saved of a report for later comparisons
``model``           one judgement, and all of them
``limits``          compare with the topology's ``objectives``
``comparison``      compare with a baseline
``judge``           everything that is judged of one report
``run``             checks, load, judgement and report, in that order
``document``        the gate as JSON; ``text``, ``markdown`` and ``junit`` make the rest of it
==================  ======================================================================================

Nothing here generates a load or tests a statistic: ``harness.load`` does.
"""
