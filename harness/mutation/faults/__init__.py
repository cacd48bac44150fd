"""Does the suite notice more than holes in the rules? Parts of a deployment are broken, and restored.

``model`` says what a fault is, ``generate`` which there are, ``scripts`` what is run on a machine, ``steps``
does and undoes, with ``journal`` to survive even kill -9; ``suite`` runs the checks that should notice,
``campaign`` is the loop. Unlike a mutant of the protection, a fault is noticed by whichever check is red that
was green before.
"""
