"""Talk: how one arrival is handed in, followed to its end, and judged.

==============  ==========================================================================================
``judging``     whether an answer took the arrival, and whether what came back is right
``following``   one arrival from its request to its row in the recording
``single``      handing in one by one: ``wait``, front doors, and creation for ``poll`` and ``callback``
``polling``     following what was created, by batches of tokens
``batching``    creating several at once
``listening``   hearing Judge0's callbacks
``opening``     the talk for a route
==============  ==========================================================================================

Dependencies go upwards in this table only. What is sent and how answers are read is ``harness.judge0``'s.
"""
