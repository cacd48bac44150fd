"""What runs inside the fabric container; Debian's Python and nothing else.

``main`` sets the network up and keeps its services running, ``agent`` does what the emulator asks for,
``wiring`` is all about links, ``metadata`` is the metadata service, ``selftest`` proves that packets can be
dropped here, ``facts`` says what this kernel can do, ``command`` runs programs.
"""
