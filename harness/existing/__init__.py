"""A deployment that somebody else made, compared with a topology without touching it; one file per step.

``place`` says where its reports go, ``match`` which droplet stands for which node. ``view`` asks the API, and
writes what stands for what into the answers, so that everything that reads a run reads this as well.
``admits`` compares what is admitted, for names here are not ours. Only GET is sent: ``Target.read_only``.
"""
