"""The loop that a node runs: real lines, from real shells over trees that look like a node's."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from harness.load.watch import loop
from harness.load.watch.counters import Track, series
from harness.load.watch.feed import Feed
from harness.load.watch.readings import Reader

MEMINFO = "MemTotal: 1000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\n"
FIRST, SECOND = "a" * 64, "b" * 64


def tree(root: Path, files: dict[str, str]) -> Path:
    """A node's files below ``root``."""
    common = {
        "proc/uptime": "100.25 7\n",
        "proc/stat": "cpu  300 0 100 9 9 0 0 50 0 0\n",
        "proc/meminfo": MEMINFO,
    }
    for name, text in {**common, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def first_look(root: Path) -> Track:
    """What the loop's first lines make of a tree, without an engine."""
    track = Track("node", "role")
    reader = Reader(track)
    environment = {"PATH": os.environ["PATH"], "DOCKER_HOST": "unix:///nowhere"}
    with subprocess.Popen(
        ["sh", "-c", loop.script(0.01, root=str(root))],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            reader.take(1.0, line)
            if track.readings:
                break
        process.kill()
    assert not track.faults
    return track


def test_a_container_of_cgroup_v1_is_its_own_group(tmp_path: Path) -> None:
    """Nanoseconds of the group, its limit, memory without cache, and the containers within."""
    group = "sys/fs/cgroup"
    files = {
        "run/systemd/container": "docker",
        f"{group}/cpuacct/cpuacct.usage": "2500000000\n",
        f"{group}/cpu/cpu.cfs_quota_us": "50000\n",
        f"{group}/cpu/cpu.cfs_period_us": "100000\n",
        f"{group}/memory/memory.usage_in_bytes": "5000\n",
        f"{group}/memory/memory.stat": "cache 9\ninactive_file 1\ntotal_inactive_file 2000\n",
        f"{group}/cpuacct/docker/{FIRST}/cpuacct.usage": "1000000000\n",
        f"{group}/cpuacct/system.slice/docker-{SECOND}.scope/cpuacct.usage": "500000000\n",
    }
    track = first_look(tree(tmp_path, files))
    mark = track.readings[0]
    assert (track.source, track.cores) == ("cgroup v1", 0.5)
    assert (mark.clock, mark.cpu, mark.memory, mark.steal) == (100.25, 2.5, 3000.0, None)
    assert mark.parts == {FIRST: 1.0, SECOND: 0.5}


def test_a_container_of_cgroup_v2_is_its_own_group(tmp_path: Path) -> None:
    """Microseconds there, and no limit is the processors that there are."""
    group = "sys/fs/cgroup"
    files = {
        "run/systemd/container": "docker",
        f"{group}/cpu.stat": "usage_usec 2500000\nuser_usec 1\n",
        f"{group}/cpu.max": "max 100000\n",
        f"{group}/memory.current": "5000\n",
        f"{group}/memory.stat": "anon 9\ninactive_file 2000\n",
        f"{group}/system.slice/docker-{FIRST}.scope/cpu.stat": "usage_usec 1000000\nuser_usec 1\n",
    }
    track = first_look(tree(tmp_path, files))
    mark = track.readings[0]
    assert (track.source, track.cores) == ("cgroup v2", len(os.sched_getaffinity(0)))
    assert (mark.cpu, mark.memory, mark.parts) == (2.5, 3000.0, {FIRST: 1.0})


def test_a_machine_is_its_proc_stat_whatever_its_groups_say(tmp_path: Path) -> None:
    """Ticks of what was used, without idle, I/O wait and steal; the last is told by itself."""
    files = {
        "sys/fs/cgroup/cpu.stat": "usage_usec 77\n",
        f"sys/fs/cgroup/docker/{FIRST}/cpu.stat": "usage_usec 9\n",
    }
    track = first_look(tree(tmp_path, files))
    mark, hz = track.readings[0], os.sysconf("SC_CLK_TCK")
    assert track.source == "/proc/stat"
    assert (mark.cpu, mark.steal, mark.memory) == (400 / hz, 50 / hz, 400 * 1024)
    assert mark.parts == {FIRST: 9e-6}


def test_a_container_without_a_group_says_whose_numbers_it_tells(tmp_path: Path) -> None:
    """Its /proc/stat is its host's, and the source says so."""
    track = first_look(tree(tmp_path, {"run/systemd/container": "lxc"}))
    assert track.source.startswith("/proc/stat, of the host")


def test_the_loop_ends_with_its_connection() -> None:
    """What it prints has nowhere to go, and nobody has to end it."""
    argv = ["sh", "-c", loop.script(0.01)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) != 0


def test_this_machine_is_followed_until_the_feed_is_closed() -> None:
    """Real readings come in with real rates, and the shell is gone afterwards."""
    track, seen = Track("here", ""), threading.Event()
    reader = Reader(track)

    def take(at: float, line: str) -> None:
        reader.take(at, line)
        if len(track.readings) >= 3:
            seen.set()

    feed = Feed(lambda: ["sh", "-c", loop.script(0.05)], take, lambda *_: None)
    try:
        assert seen.wait(20)
    finally:
        feed.close()
    process = feed._process
    assert process is not None
    assert process.poll() is not None
    found = series(track, 0.0, float("inf"))
    assert found is not None
    assert 0 <= max(found.cpu) <= 1.5 * found.cores


def test_a_command_that_ends_is_begun_again_and_its_last_words_are_kept() -> None:
    """A node that dies meanwhile is a fault with its reason, and then there is a next try."""
    why: list[str] = []
    twice = threading.Event()

    def ended(_at: float, text: str) -> None:
        why.append(text)
        if len(why) == 2:
            twice.set()

    feed = Feed(lambda: ["sh", "-c", "echo no route >&2; exit 9"], lambda *_: None, ended, again=0.01)
    try:
        assert twice.wait(20)
    finally:
        feed.close()
    assert why[0] == "exit 9: no route"


@pytest.mark.parametrize("line", ["S|1|2", "S|x|cpu 1|2|", "N|only", "what is this", ""])
def test_a_line_that_cannot_be_read_is_a_fault_and_nothing_more(line: str) -> None:
    """Cut-off lines and noise do not end the watching."""
    track = Track("node", "")
    Reader(track).take(4.0, line)
    assert not track.readings
    assert [at for at, _ in track.faults] == [4.0]
