"""Programs that take whatever there is of something, or all of it at once."""

from __future__ import annotations

from hostile.model import (
    ACCEPTED,
    BASH,
    FILE_SIZE,
    JAVASCRIPT,
    NONZERO,
    PYTHON,
    TIME_LIMIT,
    WRONG_ANSWER,
    Attack,
    python,
)

EXHAUSTING = (
    Attack(
        "fork-bomb",
        "forks for ever, in all its children too",
        PYTHON,
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass",
        TIME_LIMIT,
        body={"cpu_time_limit": 0.5},
    ),
    Attack(
        "fork-chain",
        "forks and ends, again and again, so that no process is there for long",
        PYTHON,
        "import os\nif os.fork(): os._exit(0)\nos.setsid()\nwhile True:\n    if os.fork(): os._exit(0)",
        ACCEPTED,
        "",
    ),
    Attack(
        "dead-children",
        "keeps as many dead children as it may have",
        PYTHON,
        "import os, time\ncount = 0\ntry:\n    while True:\n        if os.fork() == 0: os._exit(0)\n        count += 1\n"
        "except BlockingIOError: print(count < 60)",
        ACCEPTED,
        "True\n",
    ),
    Attack(
        "threads",
        "starts threads that never end",
        PYTHON,
        "import os, threading\nlock = threading.Lock(); lock.acquire()\ncount = 0\ntry:\n    while True:\n"
        "        threading.Thread(target=lock.acquire, daemon=True).start(); count += 1\n"
        "except RuntimeError: print(count < 60, flush=True); os._exit(0)",
        ACCEPTED,
        "True\n",
    ),
    Attack(
        "memory",
        "takes more memory than it may",
        PYTHON,
        "x = bytearray(400 << 20)",
        NONZERO,
        body={"memory_limit": 64000},
    ),
    Attack(
        "memory-of-many",
        "shares out among its children what it may not have itself",
        PYTHON,
        "import os, signal\nfor _ in range(10):\n    if os.fork() == 0:\n        x = bytearray(40 << 20); signal.pause()\n"
        "print(os.wait()[1] != 0)",
        ACCEPTED,
        "True\n",
        body={"memory_limit": 128000},
    ),
    Attack(
        "memory-for-each",
        "has a limit for each process, and many processes: together they stay within the judge's own limit",
        PYTHON,
        "import os, signal\nfor _ in range(5):\n    if os.fork() == 0:\n        x = bytearray(70 << 20); signal.pause()\n"
        "print(os.wait()[1] != 0)",
        ACCEPTED,
        "True\n",
        body={"memory_limit": 200000, "enable_per_process_and_thread_memory_limit": True},
    ),
    Attack(
        "memory-in-tmp",
        "fills the file systems that are memory",
        PYTHON,
        "for where in ('/tmp', '/box'):\n    for i in range(200):\n        try: open(f'{where}/{i}', 'wb').write(bytes(1 << 20))\n"
        "        except OSError: break",
        NONZERO,
        body={"memory_limit": 64000},
    ),
    Attack(
        "memory-shared",
        "takes shared memory, which no process has",
        PYTHON,
        python("""
libc.shmat.restype = ctypes.c_void_p
for _ in range(8):
    where = libc.shmat(libc.shmget(0, 32 << 20, 0o1600), None, 0)
    ctypes.memset(where, 1, 32 << 20)
"""),
        NONZERO,
        body={"memory_limit": 64000},
    ),
    Attack(
        "memory-in-descriptors",
        "keeps memory in files without a name, and in pipes",
        PYTHON,
        python("""
import fcntl
held = []
for _ in range(18):
    held += [os.memfd_create("x"), *os.pipe2(os.O_NONBLOCK)]
    attempt(fcntl.fcntl, held[-1], 1031, 1 << 20)
for fd in held[::3]:
    print(attempt(os.ftruncate, fd, 2 << 20), end=" ")
    os.write(fd, bytes(1 << 20))
for fd in held[2::3]:
    attempt(os.write, fd, bytes(1 << 20))
"""),
        NONZERO,
        body={"memory_limit": 24000},
    ),
    Attack(
        "inodes",
        "makes files and deep directories until there is room for none",
        PYTHON,
        python("""
for where in ("/tmp", "/box"):
    os.chdir(where)
    made = 0
    try:
        while True:
            os.mkdir("d"); os.chdir("d"); open("f", "w").close(); made += 2
    except OSError as error:
        print(named(error.errno), made < 16384)
"""),
        ACCEPTED,
        "ENOSPC True\nENOSPC True\n",
    ),
    Attack(
        "names",
        "gives files names that are no text, no line and no shell's word",
        PYTHON,
        "import os\nfor n in (b'\\xff\\xfe', b'a\\nb', b'$(reboot)', b'-rf', b'x' * 255, b'..x', b'\\x1b[2J'):\n"
        "    os.close(os.open(b'/box/' + n, os.O_CREAT | os.O_WRONLY)); os.symlink(n, b'/tmp/' + n)\nprint('end')",
        ACCEPTED,
        "end\n",
    ),
    Attack(
        "descriptors-all",
        "opens as many files as it may",
        PYTHON,
        python(
            "held = []\ntry:\n    while True: held.append(os.open('/', 0))\nexcept OSError as e: print(named(e.errno), len(held))"
        ),
        ACCEPTED,
        "EMFILE 61\n",
    ),
    Attack(
        "output-endless",
        "prints for ever",
        BASH,
        "yes; exit $?",
        NONZERO,
    ),
    Attack(
        "errors-endless",
        "prints errors for ever, and output too",
        PYTHON,
        "import os\nfor fd in (2, 1):\n    try:\n        while True: os.write(fd, b'error\\n' * 1000)\n"
        "    except OSError: pass\nos._exit(4)",
        NONZERO,
    ),
    Attack(
        "output-3-gib",
        "makes its output 3 GiB long by other ways than printing",
        PYTHON,
        python("""
print(attempt(os.ftruncate, 1, 3 << 30), flush=True)
again = os.open("/dev/stdout", os.O_RDWR)
for size in (1 << 31, 3 << 30):
    for how in (os.ftruncate, lambda fd, n: os.posix_fallocate(fd, 0, n), lambda fd, n: os.pwrite(fd, b"x", n)):
        if (became := attempt(how, again, size)) != "EFBIG":
            print(size, became)
if libc.fallocate(again, 1, ctypes.c_long(0), ctypes.c_long(1 << 30)) == 0:
    print("kept")
print("end")
"""),
        ACCEPTED,
        "EFBIG\nend\n",
    ),
    Attack(
        "output-after-a-hole",
        "seeks 3 GiB ahead and prints there",
        BASH,
        "python3 -c 'import os; os.lseek(1, 3 << 30, 0); os.write(1, b\"x\")'",
        NONZERO,
    ),
    Attack(
        "cpu",
        "computes for ever, and does not listen to signals",
        PYTHON,
        "import signal\nfor n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n    except OSError: pass\nwhile True: pass",
        TIME_LIMIT,
        body={"cpu_time_limit": 0.5},
    ),
    Attack(
        "cpu-of-many",
        "computes in so many processes that the worker gets no turn",
        PYTHON,
        "import os\nfor _ in range(50):\n    if os.fork() == 0: break\nwhile True: pass",
        TIME_LIMIT,
        body={"cpu_time_limit": 1},
    ),
    Attack(
        "cpu-for-each",
        "has a time limit for each process, and many processes: the clock ends them",
        PYTHON,
        "import os\nfor _ in range(8):\n    if os.fork() == 0: break\nwhile True: pass",
        TIME_LIMIT,
        body={"cpu_time_limit": 3, "wall_time_limit": 1, "enable_per_process_and_thread_time_limit": True},
    ),
    Attack("sleep", "waits for ever", BASH, "sleep 1000", TIME_LIMIT, body={"wall_time_limit": 1}),
    Attack(
        "suspended-parent",
        "waits for a child that shares its memory and never ends",
        PYTHON,
        python("import time\nif libc.vfork() == 0: time.sleep(1000)"),
        TIME_LIMIT,
        body={"wall_time_limit": 1},
    ),
    Attack(
        "input-unread",
        "is given 4 MB of input and does not read them",
        BASH,
        "echo end",
        ACCEPTED,
        "end\n",
        body={"stdin": "x" * (4 << 20)},
    ),
    Attack(
        "expected-endless",
        "expects millions of lines, which comparing takes memory and time for",
        PYTHON,
        "print('a\\n' * 500000)",
        WRONG_ANSWER,
        body={"expected_output": "a\n" * (3 << 20) + "x"},
    ),
    Attack(
        "arguments-many",
        "is given as many arguments as Judge0 takes; more are refused when it is submitted",
        BASH,
        "echo $#",
        ACCEPTED,
        "256\n",
        body={"command_line_arguments": "x " * 256},
    ),
    Attack(
        "arguments-as-commands",
        "has shell syntax in its arguments",
        BASH,
        'printf "%s\\n" "$@"',
        ACCEPTED,
        "a\nexit\n0\n",
        body={"command_line_arguments": "a; exit 0\n"},
    ),
    Attack(
        "recursion",
        "calls itself until its stack is over",
        JAVASCRIPT,
        "const f = () => f() + 1; process.on('uncaughtException', e => { throw e }); f()",
        NONZERO,
    ),
    Attack(
        "nothing-to-write",
        "may write no byte",
        BASH,
        "echo x",
        FILE_SIZE,
        body={"max_file_size": 0},
    ),
)
