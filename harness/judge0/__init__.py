"""Judge0 as its users see it: its API, requests, answers, detection, and how to reach it.

==============  ============================================================================================
``api``         statuses, language ids, limits, the header of the token (1.13.1)
``model``       a program to be run, and the route on which it is submitted
``requests``    what is sent for a program, to Judge0 itself and to a front door
``reading``     what an answer says
``client``      one submission after the other, for checks
``programs``    small programs in each language
``single``      HTTP with a connection for each request
``frontdoor``   a program submitted at the front door, as a user's browser does it
``detect``      which Judge0 answers, what it can do, and which mode of submission measures what on it
``route``       from a deployment to its Judge0, its runner and its front door
==============  ============================================================================================

Dependencies go upwards in this table only. Load, checks and faults use this; nothing else speaks to a Judge0.
"""
