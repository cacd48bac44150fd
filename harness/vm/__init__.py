"""A whole run inside a virtual machine with Debian's stock cloud kernel: ``python -m harness.vm``.

That kernel lacks nothing (IPVS, ESP, netem, control groups v2), whatever this machine's has. All that is
expensive is done here, before it boots: in the guest the processor is emulated, and ten times slower.

* ``flow``      the whole, in order
* ``preflight`` what this machine must have for it
* ``build``     all it boots from
* ``inside``    what happens in the guest
* ``cache``     what is kept for the next time, by a hash of what it is made from
* ``root``      the guest's file system: Debian, the Python packages, ``guest_root/``
* ``data``      its engine's data, with every image in it
* ``project``   this project as the guest gets it, with the saved images
* ``images``    which images a topology needs
* ``disk``      a directory as a file system in a file
* ``initrd``    what the kernel starts with: drivers for the disk, and the guest's keys
* ``machine``   QEMU
* ``guest``     logging in to it

``guest_root`` is copied into its root.
Imports ``harness`` only, never ``emulator``: that is run as a process, here as in the guest.
"""
