"""The network of one emulator: who is wired to what, and what may pass.

``layout`` names the fixed addresses, ``links`` describes machines, ``nft`` turns a policy into a ruleset
(both pure), ``session`` talks to the agent in the fabric container, ``container`` makes that container,
``fabric`` puts them together. The other half, inside the container, is in ``emulator/images/fabric``.
"""
