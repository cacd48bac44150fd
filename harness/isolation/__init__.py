"""Who may reach whom: intended by the topology, computed from what the API reports, observed by packets.

``model`` holds the data; ``intended`` and what ``harness.firewall`` computes are the views that need no
packet, ``observe`` (with ``counted`` for the emulator, ``paced`` for any cloud) the one that does;
``compare`` finds their differences and ``section`` writes them into the report. Nothing here is about one
application.
"""
