"""What a program costs in the worker's sandbox with no worker around it."""

from __future__ import annotations

import json

import docker

from tests.judge0_stack import SANDBOX

# Runs inside of the worker's image: as many slots as a worker has, filled once; then nothing but the sandbox,
# in all of them at a time, for a program costs more where others use the caches, too.
# A child's CPU time is that of all that it waited for: the sandbox, the shell and the program.
PROGRAM = """
import asyncio, json, os, resource, sys
from pathlib import Path
from judge0_worker import cgroups, sandbox
where, source, runs = Path("/run/bare"), sys.argv[1].encode(), int(sys.argv[2])
slots = 2 * len(os.sched_getaffinity(0))
limits = sandbox.Limits(cpu=5, wall=10, memory=128000, stack=64000, processes=60, file=1024)
uid = 1_000_000

def spent():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

def fill(slot):
    slot.clean(uid)
    for name, content in (("script.py", source), ("run", b"/usr/bin/python3 script.py")):
        (slot.box / name).write_bytes(content)
        (slot.box / name).chmod(0o444)
    return slot

async def often(slot, times):
    for _ in range(times):
        meta = (await slot.run((sandbox.SHELL, "run"), limits, uid=uid, stdin=None)).meta
        assert meta.exit_code == 0, meta

async def main():
    groups = cgroups.find(where / "cgroup")
    await sandbox.setup(where / "root")
    made = [
        fill(sandbox.Slot(directory=where / str(n), root=where / "root", groups=groups, name=f"bare-{n}"))
        for n in range(slots)
    ]
    await asyncio.gather(*(often(slot, 2) for slot in made))
    before = spent()
    await asyncio.gather(*(often(slot, runs) for slot in made))
    print(json.dumps((spent() - before) / runs / slots))

asyncio.run(main())
"""


def bare_run(engine: docker.DockerClient, image: str, source: str, *, runs: int) -> float:
    """Milliseconds of CPU that a run of a Python program takes, the sandbox's own included.

    A mean over ``runs`` in each of as many slots as a worker has.
    """
    command = ["python3", "-c", PROGRAM, source, str(runs)]
    return 1000 * float(json.loads(engine.containers.run(image, command, remove=True, **SANDBOX)))
