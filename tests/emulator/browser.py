"""Debian's chromium as a measuring instrument: a page is shown at a width, a script in a copy of it measures.

Every call is a browser of its own, with a fresh profile, and without network. What is measured at once is in
frames of one window, each as wide as it is to be.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Iterable
from itertools import starmap
from pathlib import Path
from typing import Any, NamedTuple

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--hide-scrollbars",
    "--enable-logging=stderr",
)
SECONDS = 90
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
SANDBOX = """<!DOCTYPE html><body style="margin:0"><pre id="told"></pre>
<script>
addEventListener("message", event => { document.getElementById("told").textContent += event.data + "\\n" })
</script>
FRAMES</body>"""


class Measurement(NamedTuple):
    """A question: what ``script``, a function's body, returns in a copy of ``page`` so many pixels wide."""

    page: str
    script: str
    width: int
    height: int = 800


def find() -> str | None:
    """The browser's command; None where there is none."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def run(directory: Path, file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Show one file; what the browser wrote. ``directory`` takes its profile."""
    command = find()
    assert command is not None
    profile = directory / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    words = [command, *FLAGS, f"--user-data-dir={profile}", *arguments, file.resolve().as_uri()]
    return subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=True)


def console(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the page itself made the browser say."""
    return [line for line in done.stderr.splitlines() if ":CONSOLE" in line]


def measure(directory: Path, measurements: Iterable[Measurement]) -> dict[Measurement, Any]:
    """What each script returns. All are taken by one browser: to start one is most of the work."""
    asked = list(dict.fromkeys(measurements))
    for number, measurement in enumerate(asked):
        (directory / f"{number}.html").write_text(_copy(number, measurement))
    sandbox = directory / "sandbox.html"
    sandbox.write_text(SANDBOX.replace("FRAMES", "".join(starmap(_frame, enumerate(asked)))))
    done = run(directory, sandbox, "--window-size=1280,800", "--virtual-time-budget=4000", "--dump-dom")
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr
    results = dict(json.loads(line) for line in html.unescape(found[1]).splitlines())
    assert results.keys() == set(range(len(asked))), done.stderr
    return {measurement: results[number] for number, measurement in enumerate(asked)}


def _copy(number: int, measurement: Measurement) -> str:
    """The page without its policy, and with a script that tells the page around it what it sees."""
    seen = f"JSON.stringify([{number}, (() => {{{measurement.script}}})()])"
    told = f"<script>addEventListener('load', () => parent.postMessage({seen}, '*'))</script>"
    return POLICY.sub("", measurement.page).replace("</body>", f"{told}</body>")


def _frame(number: int, measurement: Measurement) -> str:
    size = f"width:{measurement.width}px;height:{measurement.height}px"
    return f'<iframe style="position:absolute;top:0;left:0;border:0;{size}" src="{number}.html"></iframe>\n'
