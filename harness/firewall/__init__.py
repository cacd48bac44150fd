"""Cloud Firewalls and trusted sources: one model of them, and one evaluator of what they let pass.

``model`` is the data, in DigitalOcean's words; ``bodies`` reads and writes it as the API words rules,
``from_api`` and ``from_topology`` read whole networks, of an account and of a plan. ``ranges`` holds ports by
address, ``addresses`` says where each end is, ``evaluate`` who reaches whom, ``walk`` the same step by step
with the rule that decides, ``naming`` how rules are called. All of it is pure but for ``from_api``.
Topologies are validated with this package, which uses the data of theirs.
"""
