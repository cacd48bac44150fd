"""Programs that want another verdict than theirs."""

from __future__ import annotations

from hostile.model import (
    ACCEPTED,
    BASH,
    NONZERO,
    OTHER,
    PYTHON,
    TIME_LIMIT,
    WRONG_ANSWER,
    Attack,
    python,
)

REPORT = r'b"\nstatus:\nexitcode:0\ntime:0.001\ncg-mem:7\n"'

FORGING = (
    Attack(
        "report-on-3",
        "writes a report of its own behind the one in descriptor 3",
        PYTHON,
        f"import os\ntry: os.pwrite(3, {REPORT}, 4000)\nexcept OSError: pass\nos.abort()",
        NONZERO,
    ),
    Attack(
        "report-on-all",
        "writes a report into whatever is open",
        PYTHON,
        f"""
import os
for fd in range(3, 1024):
    for write in (os.write, lambda fd, text: os.pwrite(fd, text, 4000)):
        try: write(fd, {REPORT})
        except OSError: pass
os.abort()
""",
        NONZERO,
    ),
    Attack(
        "report-3-gib-away",
        "moves the report so far that reading it takes 3 GiB",
        PYTHON,
        python("print(attempt(os.lseek, 3, 3 << 30, 0))"),
        ACCEPTED,
        "EBADF\n",
    ),
    Attack(
        "descriptors",
        "looks for anything open beside its three streams",
        PYTHON,
        'import os\nprint(sorted(int(fd) for fd in os.listdir("/proc/self/fd"))[:-1])',
        ACCEPTED,
        "[0, 1, 2]\n",
    ),
    Attack(
        "descriptors-of-the-shell",
        "looks for what its parent has open",
        BASH,
        "for fd in /proc/$PPID/fd/*; do case ${fd##*/} in 0|1|2) ;; "
        '*) leads=$(readlink "$fd"); [ "$leads" = /box/run ] || echo "$leads";; esac; done; echo end',
        ACCEPTED,
        "end\n",
    ),
    Attack(
        "report-on-stdout",
        "prints what a report looks like, and fails",
        BASH,
        r"printf '\nstatus:\nexitcode:0\n' | tee /dev/stderr; exit 3",
        NONZERO,
    ),
    Attack(
        "files-of-these-names",
        "leaves files where a report and outputs might be looked for",
        BASH,
        "for f in meta stdout stderr stdin report; do printf 'exitcode:0\\nright\\n' > /box/$f; "
        "printf 'right\\n' > /box/../$f; done 2>/dev/null; echo wrong; exit 5",
        NONZERO,
        "wrong\n",
        body={"expected_output": "right"},
    ),
    Attack(
        "streams-as-links",
        "has links to system files in the places of its script and streams",
        BASH,
        "cd /box; for f in run script.sh stdout stderr; do rm -f $f; ln -s /etc/passwd $f; done; echo end",
        ACCEPTED,
        "end\n",
        lacks=(b"root:",),
    ),
    Attack(
        "init-as-files",
        "opens what /proc shows of the box's first process, and of all others",
        PYTHON,
        python("""
names = "fd fdinfo mem environ root cwd exe maps stack syscall ns/pid ns/mnt task map_files auxv io".split()
for pid in ["1", *filter(str.isdigit, os.listdir("/proc"))]:
    if int(pid) in (os.getpid(), os.getppid()):
        continue
    for name in names:
        path = f"/proc/{pid}/{name}"
        for flags in (os.O_RDONLY, os.O_RDWR):
            if attempt(os.open, path, flags) == "done":
                print(path, flags)
        try: print(path, os.readlink(path))
        except OSError: pass
print("end")
"""),
        ACCEPTED,
        "end\n",
    ),
    Attack(
        "init-as-a-process",
        "signals, limits, slows and stops the box's first process",
        PYTHON,
        python("""
import resource
tell(
    kill=attempt(os.kill, 1, signal.SIGKILL),
    stop=attempt(os.kill, 1, signal.SIGSTOP),
    limit=attempt(resource.prlimit, 1, resource.RLIMIT_FSIZE, (0, 0)),
    nice=attempt(os.setpriority, os.PRIO_PROCESS, 1, 19),
    cores=attempt(os.sched_setaffinity, 1, [0]),
    pidfd=attempt(lambda: signal.pidfd_send_signal(os.pidfd_open(1), signal.SIGKILL)),
)
"""),
        ACCEPTED,
        "kill EPERM\nstop EPERM\nlimit EPERM\nnice EPERM\ncores EPERM\npidfd EPERM\n",
    ),
    Attack(
        "everybody-killed",
        "kills all that it may, its shell too",
        PYTHON,
        "import os, signal\nprint('right', flush=True)\nos.kill(-1, signal.SIGKILL)",
        OTHER,
        body={"expected_output": "right"},
    ),
    Attack(
        "shell-killed",
        "kills the shell that would say how it ended, and ends well",
        PYTHON,
        "import os, signal\nprint('right', flush=True)\nos.kill(os.getppid(), signal.SIGKILL)",
        OTHER,
        body={"expected_output": "right"},
    ),
    Attack(
        "time-limit-faked",
        "ends its shell with the signal of a time limit: worse than it deserves, and no better",
        PYTHON,
        "import os, signal\nprint('right', flush=True)\nos.kill(os.getppid(), signal.SIGXCPU)",
        TIME_LIMIT,
        body={"expected_output": "right"},
    ),
    Attack(
        "shell-stopped",
        "stops the shell, so that nobody hears of its crash",
        PYTHON,
        "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)\nos.abort()",
        TIME_LIMIT,
        body={"wall_time_limit": 1},
    ),
    Attack(
        "crash-behind-a-trap",
        "has its own shell end well after a crash",
        BASH,
        "trap 'exit 0' EXIT TERM SEGV ABRT; bash -c 'kill -SEGV $$'; kill -KILL $$",
        NONZERO,
    ),
    Attack(
        "run-appended",
        "appends to the script that runs it: it ends well then, and its output stays wrong",
        PYTHON,
        "import os\nopen('/box/run', 'a').write('\\nexit 0\\n')\nprint('wrong', flush=True)\nos.abort()",
        WRONG_ANSWER,
        "wrong\n",
        body={"expected_output": "right"},
    ),
    Attack(
        "run-replaced",
        "has its first run write a cheap script for the others",
        PYTHON,
        "open('/box/run', 'w').write('echo forged')\nprint('computed')",
        ACCEPTED,
        "computed\n",
        body={"expected_output": "computed", "number_of_runs": 3},
    ),
    Attack(
        "result-kept",
        "computes in its first run and looks up in the others",
        BASH,
        "cat /box/kept /tmp/kept /dev/shm/kept 2>/dev/null || { echo computed; echo kept | tee /box/kept > /tmp/kept; }",
        ACCEPTED,
        "computed\n",
        body={"expected_output": "computed", "number_of_runs": 2},
    ),
    Attack(
        "sibling-of-the-shell",
        "has a process that became the first one's child end well, while it fails itself",
        PYTHON,
        python("""
import time
CLONE_PARENT = 0x8000
if os.fork() == 0:
    if os.fork() == 0:
        while os.getppid() != 1:
            time.sleep(0.01)
        for _ in range(5):
            # The order of the other arguments differs between machines; all of them are nothing.
            if libc.syscall(56 if os.uname().machine == "x86_64" else 220, CLONE_PARENT | 17, 0, 0, 0, 0) == 0:
                os._exit(0)
    os._exit(0)
time.sleep(0.3)
sys.exit(7)
"""),
        NONZERO,
    ),
    Attack(
        "output-after-the-end",
        "leaves processes that go on printing when it has ended",
        BASH,
        "for i in 1 2 3; do setsid bash -c 'trap \"\" HUP TERM; sleep 0.2; while echo forged; do :; done' & done; "
        "echo first",
        ACCEPTED,
        "first\n",
        body={"expected_output": "first"},
    ),
    Attack(
        "adopted-by-itself",
        "makes itself the parent of orphans, to keep them",
        PYTHON,
        python("""
import time
libc.prctl(36, 1, 0, 0, 0)
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(60)
        os._exit(0)
print("end")
"""),
        ACCEPTED,
        "end\n",
    ),
    Attack(
        "output-rewritten",
        "rewrites its output through other ways to its file: that is what it has printed, then",
        PYTHON,
        python("""
print("wrong" * 1000, flush=True)
again = os.open("/proc/self/fd/1", os.O_RDWR)
os.ftruncate(again, 0)
os.pwrite(again, b"right", 0)
"""),
        ACCEPTED,
        "right",
        body={"expected_output": "right"},
    ),
    Attack(
        "output-locked",
        "holds leases and locks on its output, so that nobody else may read it",
        PYTHON,
        python("""
import fcntl
print("held", flush=True)
again = os.open("/dev/stdout", os.O_RDWR)
attempt(fcntl.flock, 1, fcntl.LOCK_EX)
attempt(fcntl.lockf, again, fcntl.LOCK_EX)
attempt(fcntl.fcntl, again, fcntl.F_SETLEASE, fcntl.F_WRLCK)
os.kill(os.getpid(), signal.SIGKILL)
"""),
        NONZERO,
        "held\n",
    ),
    Attack(
        "clock-set",
        "turns the clocks that its time is taken with",
        PYTHON,
        python("""
import time
tell(
    real=attempt(time.clock_settime, time.CLOCK_REALTIME, 0),
    monotonic=attempt(time.clock_settime, time.CLOCK_MONOTONIC, 0),
)
"""),
        ACCEPTED,
        "real EPERM\nmonotonic EPERM\n",
    ),
    Attack(
        "limits-raised",
        "raises its own limits",
        PYTHON,
        python("""
import resource
for name in "FSIZE NPROC NOFILE STACK CORE MEMLOCK MSGQUEUE".split():
    kind = getattr(resource, "RLIMIT_" + name, 12)
    soft, hard = resource.getrlimit(kind)
    if hard == resource.RLIM_INFINITY:
        print(name, "has no limit")
    for more in (hard + 1, resource.RLIM_INFINITY):
        try: resource.setrlimit(kind, (soft, more))
        except (ValueError, OSError): continue
        print(name, "raised")
print("end")
"""),
        ACCEPTED,
        "end\n",
    ),
)
