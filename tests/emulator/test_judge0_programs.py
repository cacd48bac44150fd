"""Programs in the reference Judge0: languages, statuses, and what a program cannot do."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from hostile import ALL
from hostile_run import PATIENT, Aftermath, attack
from judge0_stack import Stack, run

pytestmark = pytest.mark.docker

BASH, C, CPP, JAVASCRIPT, PYTHON, TEXT = 46, 50, 54, 63, 71, 43


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """Databases, for both workers of this module."""
    with Stack() as stack:
        yield stack


@pytest.fixture(scope="module")
def judge0(stack: Stack) -> Iterator[httpx.Client]:
    """A server with one worker of two slots."""
    with stack.server() as client, stack.worker(COUNT="2", MY_SECRET="hidden"):
        yield client


@pytest.fixture(scope="module")
def hostile(stack: Stack) -> Iterator[Aftermath]:
    """What became of all hostile programs and of those that ran among them, on one worker of eight slots."""
    limits = {"MAX_MEMORY_LIMIT": "256000", "MAX_CPU_TIME_LIMIT": "3", "CPU_TIME_LIMIT": "3"}
    limits["MAX_WALL_TIME_LIMIT"] = str(PATIENT)
    settings = {"JUDGE0_VERSION": "hostile", "MAX_QUEUE_SIZE": "1000", **limits}
    with stack.server(settings) as client, stack.worker(COUNT="8", **settings) as worker:
        yield attack(stack, client, worker)


@pytest.mark.parametrize("name", [each.name for each in ALL])
def test_a_hostile_program_ends_as_it_must(hostile: Aftermath, name: str) -> None:
    """Its status, what it printed and what it did not get to see: see tests/hostile."""
    hostile.check(name)


def test_who_ran_among_hostile_programs_was_not_wronged(hostile: Aftermath) -> None:
    """Handed in meanwhile: all are finished, accepted, with their own output, at the first attempt."""
    assert len(hostile.bystanders) >= 40
    assert hostile.wronged() == []


def test_hostile_programs_leave_the_worker_as_it_was(hostile: Aftermath) -> None:
    """The same process, and one worker's name on all results: none died, and none was taken for dead."""
    assert hostile.after.process == hostile.before.process
    assert (len(hostile.workers), hostile.attempts) == (1, 1)


def test_hostile_programs_leave_nothing_behind(hostile: Aftermath) -> None:
    """No process, file, mount or control group of a box; and reading what they wrote took no memory."""
    left = hostile.after.left
    assert left == {"processes": [], "files": [], "mounts": [], "groups": [], "handles": []}
    assert hostile.after.peak_mb < 300


@pytest.mark.parametrize(
    ("language", "source"),
    [
        (BASH, "read x; echo $((x * 2))"),
        (C, '#include <stdio.h>\nint main(){int x;scanf("%d",&x);printf("%d\\n",x*2);}'),
        (CPP, "#include <iostream>\nint main(){int x;std::cin>>x;std::cout<<x*2<<std::endl;}"),
        (JAVASCRIPT, "console.log(require('fs').readFileSync(0,'utf8')*2)"),
        (PYTHON, "print(int(input())*2)"),
    ],
    ids=["bash", "c", "cpp", "javascript", "python"],
)
def test_each_language_reads_and_writes(judge0: httpx.Client, language: int, source: str) -> None:
    """A program reads its input and its output is compared with what was expected."""
    result = run(judge0, language, source, stdin="21", expected_output="42")
    assert (result["status"]["description"], result["stdout"]) == ("Accepted", "42\n")
    assert run(judge0, language, source, stdin="21", expected_output="43")["status"]["id"] == 4


@pytest.mark.parametrize(
    ("language", "source", "limits", "status", "message"),
    [
        (PYTHON, "while True: pass", {"cpu_time_limit": 0.3}, 5, "Time limit exceeded"),
        (BASH, "sleep 5", {"wall_time_limit": 1}, 5, "Time limit exceeded (wall clock)"),
        (BASH, "exit 3", {}, 11, "Exited with error status 3"),
        (C, "int main(){*(volatile int*)0=1;}", {}, 11, "Exited with error status 139"),
        (C, "#include <stdlib.h>\nint main(){abort();}", {}, 11, "Exited with error status 134"),
        (PYTHON, "x=bytearray(400<<20)", {"memory_limit": 64000}, 11, "Exited with error status 137"),
        (BASH, "kill -9 $PPID", {}, 12, "Caught fatal signal 9"),
        (C, "int main(){", {}, 6, None),
    ],
    ids=["cpu", "wall", "exit", "segv", "abort", "memory", "shell-killed", "compile"],
)
def test_how_a_program_ends_is_told(
    judge0: httpx.Client,
    language: int,
    source: str,
    limits: dict[str, object],
    status: int,
    message: str | None,
) -> None:
    """Each way to end has Judge0's status and message."""
    answer = judge0.post(
        "/submissions?wait=true&fields=status,message",
        json={"language_id": language, "source_code": source, **limits},
    ).json()
    assert (answer["status"]["id"], answer["message"]) == (status, message)


def test_several_runs_stop_at_the_first_that_fails(judge0: httpx.Client) -> None:
    """number_of_runs repeats a program; options and arguments reach it."""
    source = '#include <stdio.h>\nint main(int n,char**v){printf("%d %s\\n",N,v[1]);}'
    more = {"number_of_runs": 3, "compiler_options": "-DN=7", "command_line_arguments": "a; b"}
    assert run(judge0, C, source, **more)["stdout"] == "7 a\n"


def test_processes_are_bounded(judge0: httpx.Client) -> None:
    """A fork bomb ends, and the next submission runs.

    Each of its shells waits for both it started, so none is gone before the limit is met.
    """
    bomb = run(judge0, BASH, ":(){ :|:; }; :", wall_time_limit=2)
    assert "Resource temporarily unavailable" in (bomb["stderr"] or ""), bomb
    assert run(judge0, BASH, "echo alive")["stdout"] == "alive\n"


def test_there_is_no_network(judge0: httpx.Client) -> None:
    """Nothing but a loopback interface that is down; no address is reachable."""
    source = (
        "import socket\ns=socket.socket()\ns.settimeout(3)\n"
        "try: s.connect(('127.0.0.1',2358)); print('reached')\nexcept OSError as e: print(e.strerror)"
    )
    assert run(judge0, PYTHON, source)["stdout"] == "Network is unreachable\n"


def test_the_workers_secrets_and_files_are_out_of_sight(judge0: httpx.Client) -> None:
    """No variable, process or file of the worker is visible; the tree is read-only but for /box and /tmp."""
    source = (
        "env; cat /proc/*/environ 2>/dev/null; ls /opt /run /root /ca.pem /sys 2>&1; "
        "for d in / /usr /etc /dev; do touch $d/x 2>/dev/null && echo wrote $d; done; "
        "ls /proc | grep -c '^[0-9]'"
    )
    shown = run(judge0, BASH, source, redirect_stderr_to_stdout=True)["stdout"]
    assert "secret" not in shown
    assert "hidden" not in shown
    assert "wrote" not in shown
    assert shown.count("No such file or directory") == 5, shown
    assert int(shown.split()[-1]) <= 6


def test_nothing_is_left_for_the_next_submission(judge0: httpx.Client) -> None:
    """Files in /box and /tmp, and processes, end with the submission."""
    for _ in range(3):
        shown = run(judge0, BASH, "ls /box /tmp; touch /tmp/left /box/left; sleep 60 >/dev/null 2>&1 &")
        assert "left" not in shown["stdout"], shown


def test_a_program_gains_no_privileges(judge0: httpx.Client) -> None:
    """New namespaces, mounts and tracing are refused."""
    source = (
        "import ctypes\nc=ctypes.CDLL(None,use_errno=True)\n"
        "calls=(lambda:c.unshare(0x10000000),lambda:c.mount(b'x',b'/tmp',b'tmpfs',0,0),lambda:c.ptrace(0,0,0,0))\n"
        "for f in calls:\n"
        "    print(f(),ctypes.get_errno())"
    )
    assert run(judge0, PYTHON, source)["stdout"] == "-1 1\n" * 3


def test_output_that_is_not_ascii_needs_base64(judge0: httpx.Client) -> None:
    """Text that is not ASCII is refused without Base64, as Judge0 does."""
    answer = run(judge0, PYTHON, "print('\\u2603')")
    assert "base64_encoded=true" in answer["error"]
