"""Does the suite notice? Each piece of a deployment's protection is broken on purpose, and restored.

``generate`` makes the mutants of a network's firewalls and trusted sources (``harness.firewall``), ``effect``
says, without a packet, what one changes between which ``pairs``, and whether it changes anything; ``apply``
puts one in force through the API and takes it back, with ``journal`` to survive even kill -9; ``judge`` says
what noticed, ``campaign`` is the loop over all of them and ``section`` writes it into the report.
"""
