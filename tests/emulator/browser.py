"""Debian's chromium as a measuring instrument: a page is shown at a width, a script in a copy of it looks.

Every call is a browser of its own, with a fresh profile, and without network.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

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
addEventListener("message", event => { document.getElementById("told").textContent = event.data })
</script>
<iframe style="border:0;width:WIDTHpx;height:HEIGHTpx" src="copy.html"></iframe></body>"""


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


def measure(directory: Path, page: str, script: str, *, width: int, height: int = 800) -> Any:
    """What ``script``, a function's body, returns when run in a copy of the page ``width`` pixels wide."""
    directory.mkdir(parents=True, exist_ok=True)
    told = (
        "<script>addEventListener('load', () => "
        f"parent.postMessage(JSON.stringify((() => {{{script}}})()), '*'))</script>"
    )
    copy = POLICY.sub("", page).replace("</body>", f"{told}</body>")
    (directory / "copy.html").write_text(copy)
    sandbox = directory / "sandbox.html"
    sandbox.write_text(SANDBOX.replace("WIDTH", str(width)).replace("HEIGHT", str(height)))
    shown = f"--window-size={max(width, 500)},{height}"
    done = run(directory, sandbox, shown, "--virtual-time-budget=4000", "--dump-dom")
    found = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
    assert found is not None, done.stderr
    assert found[1], done.stderr
    return json.loads(html.unescape(found[1]))
