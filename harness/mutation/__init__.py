"""Does the suite notice? Each piece of a deployment's protection is broken on purpose, and mended again.

``protection`` is what there is to break, as the API tells it; ``generate`` makes the mutants, ``gates`` and
``fate`` say, without a packet, what one changes and whether it changes anything; ``apply`` puts one in
force through the API and takes it back, with ``journal`` to survive even kill -9; ``judge`` says what
noticed, ``campaign`` is the loop over all of them and ``section`` tells it in the report.
"""
