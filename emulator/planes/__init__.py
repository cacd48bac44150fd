"""The data plane: what runs behind the control plane, behind one small interface (``base``).

``memory`` runs nothing and is instant; ``docker`` runs everything.
"""
