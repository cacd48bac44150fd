"""Statistics of measurements: pure functions over plain data.

=============  ==================================================================================
``interval``   confidence intervals of means, quantiles and autocorrelated series
``histogram``  HDR histograms: made of arrays, stored as text, merged
``stages``     samples of a run to latency of each stage, counts a second, rates and lateness
``warmup``     where the start of a series ends and its steady state begins
``knee``       the search for the highest rate that meets an objective
``fit``        models of throughput against workers, and when to refuse them
``scaling``    the finding of a scaling experiment, in words
``overload``   how a deployment behaved beyond its capacity, and recovered
``compare``    a fresh result against a stored baseline
=============  ==================================================================================

How each is computed, by which source, and its limits: ``docs/statistics.md``.
"""
