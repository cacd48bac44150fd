"""The topology's picture: what is there (``plan``), where it goes (``layers``, ``place``), looks (``svg``).

Everything is laid out from left to right by the direction of the flows, and the same report always
gives the same picture. ``timeline`` draws one trial of a fault.
"""
