"""Interrupt a command at a random moment, as ctrl-C in a terminal does; what follows is what is promised.

Within 2 seconds it has ended, or says that it is cleaning up; no traceback; the signal's exit code; no
process of it is left, nor the run's lock. ``python tests/interrupting.py --count 200`` runs the long
series over the pretended deployment; the tests run a short one.

The 2 seconds are for an idle machine. On a busy one everything takes longer, this promise too: they are
multiplied by how much longer than ``NOTHING_SECONDS`` a command takes that does nothing, before and after.
"""

from __future__ import annotations

import fcntl
import itertools
import math
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

PROMISED_SECONDS, NOTHING_SECONDS = 2.0, 0.3
LONG_SECONDS = 180.0
MARK = "WAVETANK_INTERRUPTED"  # in the environment of all that a command starts
SAYS_SO = re.compile(r"\bstopp(ed|ing)\b")
WAVETANK = Path(sys.executable).with_name("wavetank")
SIGNALS = (signal.SIGINT,) * 4 + (signal.SIGTERM, signal.SIGHUP)


@dataclass(frozen=True)
class Seen:
    """What became of one command: ``reacted`` and ``ended`` are seconds after the signal."""

    command: str
    after: float
    signum: signal.Signals
    code: int
    reacted: float
    ended: float
    bound: float
    said: str
    faults: tuple[str, ...]
    over: bool  # before the signal came


@dataclass
class Series:
    """Commands of one command line, interrupted one after the other. ``state_dir`` is where its runs are."""

    state_dir: Path
    environment: Mapping[str, str]
    seed: int
    cwd: Path | None = None
    wavetank: Path = WAVETANK
    seconds: float = math.inf
    told: Callable[[Seen], None] = lambda _seen: None
    seen: list[Seen] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def rounds(self, count: int) -> Iterator[int]:
        """``count`` numbers, or fewer where ``seconds`` have passed before."""
        until = time.monotonic() + self.seconds
        yield from itertools.takewhile(lambda _: time.monotonic() < until, range(count))

    def run(self, *arguments: str, check: bool = True) -> float:
        """A command that nobody interrupts; returns how long it took after it could have been."""
        began = self._begin(arguments, mark="")
        started = _takes_signals(began)
        try:
            _, told = began.communicate(timeout=LONG_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(began.pid, signal.SIGKILL)
            _, told = began.communicate()
        assert not check or began.returncode == 0, f"{arguments}: {began.returncode}\n{told.decode()}"
        return time.monotonic() - started

    def interrupt(self, *arguments: str, within: float) -> Seen:
        """The command, stopped at a random moment of its first ``within`` seconds."""
        after, signum = self.random.uniform(0, within), self.random.choice(SIGNALS)
        slow = self.nothing()
        mark = uuid.uuid4().hex
        with tempfile.TemporaryFile() as errors:
            began = self._begin(arguments, mark=mark, errors=errors.fileno())
            time.sleep(max(_takes_signals(began) + after - time.monotonic(), 0))
            before = os.fstat(errors.fileno()).st_size
            over, signalled = began.poll() is not None, time.monotonic()
            if not over:
                os.killpg(began.pid, signum)
            reacted, ended = _watch(began, errors.fileno(), before, signalled)
            errors.seek(0)
            said = errors.read().decode(errors="replace")
        factor = max(NOTHING_SECONDS, slow, self.nothing()) / NOTHING_SECONDS
        faults = tuple(() if over else self._faults(began.returncode, signum, said, reacted, factor, mark))
        seen = Seen(
            arguments[0], after, signum, began.returncode, reacted, ended,
            PROMISED_SECONDS * factor, said, faults, over,
        )  # fmt: skip
        self.seen.append(seen)
        self.told(seen)
        return seen

    def nothing(self) -> float:
        """How long a command takes now that does nothing, from its beginning to its end."""
        began = time.monotonic()
        subprocess.run([self.wavetank, "--version"], check=True, capture_output=True, timeout=LONG_SECONDS)
        return time.monotonic() - began

    def _begin(
        self, arguments: Sequence[str], *, mark: str, errors: int = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        """In a session of its own, as in a terminal of its own, without what ``nohup`` silenced."""
        command, *rest = arguments[0].split() + list(arguments[1:])
        split = 2 if command in ("bench", "emulator") else 1
        words = [command, *rest]
        return subprocess.Popen(
            [
                "env",
                "--default-signal=HUP",
                self.wavetank,
                *words[:split],
                f"--state-dir={self.state_dir}",
                *words[split:],
            ],
            env={**self.environment, MARK: mark},
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )

    def _faults(
        self, code: int, signum: int, said: str, reacted: float, factor: float, mark: str
    ) -> Iterator[str]:
        if code != 128 + signum and not (code in (0, 1, 2, 3) and not SAYS_SO.search(said)):
            yield f"exit code {code} after {signal.Signals(signum).name}"
        if "Traceback" in said:
            yield "a traceback"
        if reacted > PROMISED_SECONDS * factor:
            yield f"neither done nor said so for {reacted:.1f} s (bound {PROMISED_SECONDS * factor:.1f} s)"
        if left := _left(mark, PROMISED_SECONDS * factor):
            yield f"left behind: {left}"
        if held := self._held(PROMISED_SECONDS * factor):
            yield f"still locked: {held}"

    def _held(self, seconds: float) -> list[str]:
        """Runs whose lock somebody keeps, and who: the run's reaper looks at it once more and ends."""
        until = time.monotonic() + seconds
        while locks := [each for each in self.state_dir.glob("runs/*/lock") if _is_held(each)]:
            if time.monotonic() > until:
                break
            time.sleep(0.02)
        return [f"{each.parent} by {_holders(each)}" for each in locks]

    @property
    def wrong(self) -> list[Seen]:
        """Those that did not keep the promise."""
        return [each for each in self.seen if each.faults]

    def report(self) -> str:
        """Figures for each command."""
        lines = []
        for name in dict.fromkeys(each.command for each in self.seen if not each.over):
            mine = [each for each in self.seen if each.command == name and not each.over]
            reacted, ended = [each.reacted for each in mine], [each.ended for each in mine]
            bounds = [each.bound for each in mine]
            lines.append(
                f"{name:14} {len(mine):4} interrupted, {sum(bool(each.faults) for each in mine)} faults;"
                f" reacted p50 {median(reacted):.2f} s max {max(reacted):.2f} s;"
                f" ended p50 {median(ended):.2f} s max {max(ended):.2f} s;"
                f" bound {min(bounds):.1f} to {max(bounds):.1f} s"
            )
        return "\n".join(lines)


def _takes_signals(began: subprocess.Popen[bytes]) -> float:
    """Wait until the process handles SIGTERM, or has ended; Python itself begins before it. Returns when."""
    status, bit = Path(f"/proc/{began.pid}/status"), 1 << (signal.SIGTERM - 1)
    while began.poll() is None:
        caught = re.search(r"^SigCgt:\s*(\w+)$", status.read_text(), re.MULTILINE)
        if caught and int(caught.group(1), 16) & bit:
            break
        time.sleep(0.005)
    return time.monotonic()


def _watch(began: subprocess.Popen[bytes], errors: int, before: int, signalled: float) -> tuple[float, float]:
    """When it said that it stops, or ended; and when it ended. Seconds after the signal."""
    reacted = None
    while began.poll() is None:
        now = time.monotonic() - signalled
        if reacted is None and SAYS_SO.search(os.pread(errors, 1 << 20, before).decode(errors="replace")):
            reacted = now
        if now > LONG_SECONDS:
            os.killpg(began.pid, signal.SIGKILL)
            began.wait()
        time.sleep(0.01)
    ended = time.monotonic() - signalled
    return ended if reacted is None else reacted, ended


def _left(mark: str, seconds: float) -> list[str]:
    """Command lines of processes that a command has started and that do not end with it."""
    until = time.monotonic() + seconds
    while (found := list(_marked(mark))) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def _marked(mark: str) -> Iterator[str]:
    wanted = f"{MARK}={mark}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (process / "environ").read_bytes().split(b"\0"):
                yield (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
        except OSError:
            continue


def _holders(lock: Path) -> list[str]:
    """Command lines of the processes that have a file open."""
    return [
        (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")[:200]
        for process in Path("/proc").glob("[0-9]*")
        if any(_leads_to(each, lock) for each in process.glob("fd/*"))
    ]


def _leads_to(link: Path, file: Path) -> bool:
    try:
        return link.readlink() == file
    except OSError:
        return False


def _is_held(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def pretended_series(directory: Path, *, seed: int, counts: Mapping[str, int], **options: Any) -> Series:
    """The series over a pretended deployment; ``counts`` says how often each command is interrupted,
    ``options`` are the series' own."""
    from pretended import stage

    with stage(directory) as played:
        series = Series(directory / "state", played.environment, seed, directory, **options)
        up = ("up", "--target=do", "--yes", f"--topology={played.plan}")
        length = series.run(*up, "--run=one")
        for number in series.rounds(counts.get("up", 0)):
            seen = series.interrupt(*up, f"--run=r{number}", within=length)
            assert seen.code == 0 or not played.droplets(f"r{number}"), seen.said
        standing: Mapping[str, tuple[tuple[str, ...], float]] = {
            "verify": (("verify", "--run=one", "--no-faults"), 8.0),
            "bench": (("bench latency", "--run=one", "--entry-point=client", "--rate=5", "--seconds=4"), 8.0),
            "scan": (("diff", "--run=one"), 8.0),
            "again": ((*up, "--run=one"), length),
        }
        for name, (command, within) in standing.items():
            for _ in series.rounds(counts.get(name, 0)):
                series.interrupt(*command, within=within)
                assert played.droplets("one") == ["active"] * 3, "what stood before stands"
        for _ in series.rounds(counts.get("down", 0)):
            series.run(*up, "--run=two")
            series.interrupt("down", "--run=two", "--yes", within=3.0)
            series.run("down", "--run=two", "--yes", check=False)  # exit 4 where nothing of it was left
            assert not played.droplets("two"), "the next down finishes what one has begun"
    return series


def _tell(seen: Seen) -> None:
    print(  # noqa: T201 (a program's progress)
        f"{seen.command} after {seen.after:.2f} s {seen.signum.name}: {seen.code},"
        f" reacted {seen.reacted:.2f} s, ended {seen.ended:.2f} s, bound {seen.bound:.1f} s"
        f" {' '.join(seen.faults)}" + (f"\n{seen.said}" if seen.faults else ""),
        file=sys.stderr,
        flush=True,
    )


def main(arguments: Sequence[str]) -> int:
    """Run a long series and print its figures."""
    import argparse

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=200, help="of each command (default %(default)s)")
    parser.add_argument("--only", action="append", help="up, again, verify, bench, scan, down")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=math.inf, help="at most, for each command")
    parser.add_argument("--wavetank", type=Path, default=WAVETANK, help="the command (another version)")
    options = parser.parse_args(arguments)
    commands = options.only or ["up", "again", "verify", "bench", "scan", "down"]
    with tempfile.TemporaryDirectory(prefix="wt-interrupts-") as directory:
        counts = dict.fromkeys(commands, options.count)
        series = pretended_series(
            Path(directory),
            seed=options.seed,
            counts=counts,
            wavetank=options.wavetank,
            seconds=options.seconds,
            told=_tell,
        )
    print(f"seed {options.seed}\n{series.report()}")  # noqa: T201 (a program's result)
    for each in series.wrong:
        print(f"{each.command} after {each.after:.2f} s: {each.faults}\n{each.said}")  # noqa: T201
    return int(bool(series.wrong))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
