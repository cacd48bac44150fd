"""What a program costs in the worker's sandbox with no worker around it."""

from __future__ import annotations

import json

from harness.bench.judge0_stack import SANDBOX
from harness.bench.up import docker

# Runs inside of the worker's image. A clean slot once, then nothing but the sandbox, as often as asked.
# A child's CPU time is that of all that it waited for: the sandbox, the shell and the program.
PROGRAM = """
import asyncio, json, resource, sys
from pathlib import Path
from judge0_worker import cgroups, sandbox
where, source, runs = Path("/run/bare"), sys.argv[1].encode(), int(sys.argv[2])
limits = sandbox.Limits(cpu=5, wall=10, memory=128000, stack=64000, processes=60, file=1024)
uid = 1_000_000

def spent():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

async def main():
    groups = cgroups.find(where / "cgroup")
    await sandbox.setup(where / "root")
    slot = sandbox.Slot(directory=where / "slot", root=where / "root", groups=groups, name="bare")
    slot.clean(uid)
    for name, content in (("script.py", source), ("run", b"/usr/bin/python3 script.py")):
        (slot.box / name).write_bytes(content)
        (slot.box / name).chmod(0o444)
    for run in range(runs + 3):
        if run == 3:
            before = spent()
        meta = await slot.run("run", limits, uid=uid, stdin=None, merge=False)
        assert meta.exit_code == 0, meta
    print(json.dumps((spent() - before) / runs))

asyncio.run(main())
"""


def bare_run(image: str, source: str, *, runs: int) -> float:
    """Milliseconds of CPU that one run of a Python program takes, the sandbox's own included; a mean."""
    command = ["python3", "-c", PROGRAM, source, str(runs)]
    return 1000 * float(json.loads(docker("run", "--rm", *SANDBOX, image, *command)))
