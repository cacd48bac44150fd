"""Workers are counted without doing them harm: by Judge0's own list, or by their processes."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

from harness.judge0 import workers
from harness.judge0.client import Judge0
from harness.judge0.workers import WorkerCount, Workers, answered


def processes(titles: list[str], directory: Path) -> Workers:
    """What the script counts among these processes."""
    for number, title in enumerate(titles, 1):
        text, _, parent = title.partition("<")
        (directory / f"proc/{number}").mkdir(parents=True)
        (directory / f"proc/{number}/cmdline").write_bytes(text.replace("|", "\0").encode())
        (directory / f"proc/{number}/status").write_text(f"Name:\truby\nPPid:\t{parent or 1}\n")
    script = workers.TITLES.replace("/proc/", f"{directory}/proc/")

    def run(node: str, given: str) -> str:
        assert (node, given) == ("worker-1", workers.TITLES)
        return subprocess.run(
            ["sh", "-c", script], capture_output=True, text=True, check=True, timeout=60
        ).stdout

    access: Any = SimpleNamespace(run=run)
    return workers.processes(access, ["worker-1"])


@pytest.mark.parametrize(
    ("titles", "count"),
    [
        (["resque-2.0.0: Waiting for 1.13.1|<4", "resque-2.0.0: Forked 3 at 1700000000|<4",
          "resque-2.0.0: Processing 1.13.1 since 1700000000 [Job]|<2", "ruby|rake|resque:workers|"], (2, 1)),
        (["resque-2.0.0: Processing 1.13.1 since 1700000000 [Job]|<9"] * 2, (2, 2)),
        (["resque-2.0.0: Processing 1.13.1 since 1700000000 [Job]|<9",
          "resque-2.0.0: Processing 1.13.1 since 1700000000 [Job]|<1"], (1, 1)),
        (["resque-2.0.0: Paused|", "resque-2.0.0: Waiting for 1.13.1|"], (1, 0)),
        (["sh|-c|grep resque-2.0.0: Waiting|", "python|worker.py|"], (0, 0)),
        ([], (0, 0)),
    ],
    ids=["workers", "without children", "just forked", "paused", "others", "none"],
)  # fmt: skip
def test_workers_are_counted_by_their_processes(
    titles: list[str], count: tuple[int, int], tmp_path: Path
) -> None:
    """Each once, whether it waits or has forked a child for a job; the child says that it works."""
    (tmp_path / "proc").mkdir()
    assert processes(titles, tmp_path) == Workers(*count)


class Asked:
    """A Judge0 that notes what it is asked."""

    def __init__(self, maintainer: str) -> None:
        self.paths: list[str] = []
        self._pages: dict[str, Any] = {
            "/about": {"version": "1.13.1", "maintainer": maintainer},
            "/config_info": {},
            "/workers": [{"available": 3, "working": 1, "size": 0}],
        }

    def judge0(self) -> Judge0:
        """A client for it."""
        transport = httpx.MockTransport(self._answer)
        return Judge0(httpx.Client(transport=transport, base_url="http://judge0"))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.paths.append(request.url.path)
        return httpx.Response(200, json=self._pages[request.url.path])


@pytest.fixture
def access() -> Any:
    """Each of its nodes has two workers, of which one works."""
    titles = "".join(
        f"/proc/{number}/cmdline:resque-2.0.0: {title}\n/proc/{number}/status:PPid:\t{parent}\n"
        for number, title, parent in ((7, "Waiting", 1), (8, "Forked", 1), (9, "Processing", 8))
    )
    return SimpleNamespace(run=lambda *_: titles)


def test_judge0s_own_list_of_workers_is_left_alone(access: Any) -> None:
    """Asking for it unregisters them; the reference one's stays as it is. Which one it is, is asked once."""
    real, reference = Asked("Herman"), Asked("Wavetank")
    count = WorkerCount(real.judge0().get, access, ["worker-1", "worker-2"])
    assert (count(), count()) == (Workers(4, 2), Workers(4, 2))
    assert real.paths == ["/about", "/config_info"]
    assert WorkerCount(reference.judge0().get, access, [])() == Workers(3, 1, waiting=0)


def test_the_queue_is_all_queues_together() -> None:
    """As Judge0 1.13.1 answers."""
    answer = [
        {"queue": "1.13.1", "size": 3, "available": 4, "idle": 1, "working": 3, "paused": 0, "failed": 0},
        {"queue": "x", "size": 1, "available": 1, "idle": 1, "working": 0, "paused": 0},
    ]
    assert answered(answer) == Workers(total=5, working=3, waiting=4)
    assert answered([]) == Workers(0, 0, waiting=0)


@pytest.mark.parametrize("answer", [{"error": "no"}, None, ["text"], [{"size": 1}], [{"size": "many"}]])
def test_an_answer_of_another_form_is_an_error(answer: object) -> None:
    """It says what was answered."""
    with pytest.raises(ValueError, match="/workers answered"):
        answered(answer)
