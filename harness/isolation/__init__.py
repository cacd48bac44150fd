"""Who may talk to whom: intended by the topology, computed from what the API reports, observed by packets.

``model`` holds the words; ``intended`` and what ``harness.firewall`` computes are the views that need no
packet, ``observe`` (with ``witnessed`` for the emulator, ``paced`` for any cloud) the one that does;
``compare`` finds their differences and ``section`` tells them in the report. Nothing here is about one
application.
"""
