"""Submission protocols: how one arrival is submitted, followed to its end, and judged.

==============  ==========================================================================================
``judging``     whether an answer accepted the arrival, and whether the result is right
``following``   one arrival from its request to its row in the recording
``single``      one request per arrival: ``wait``, front doors, and creation for ``poll`` and ``callback``
``polling``     polling for results, by batches of tokens
``batching``    creating several at once
``listening``   receiving Judge0's callbacks
``plain``       plain HTTP requests to any server
``opening``     choose the protocol for a route
==============  ==========================================================================================

Dependencies go upwards in this table only. Requests and parsing of answers are in ``harness.judge0``.
"""
