"""Judge0s to be recognised: by what the real ones say, and the reference one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.core.errors import CheckFailedError
from harness.judge0.api import IDS
from harness.judge0.detect import ALWAYS, Capabilities, detect

INFORMATION = Path(__file__).parents[3] / "topologies/app/judge0/judge0_server/information.py"

# Of 1.13.1's own answers, what is read here.
ABOUT = {
    "version": "1.13.1",
    "homepage": "https://judge0.com",
    "source_code": "https://github.com/judge0/judge0",
    "maintainer": "Herman Zvonimir Došilović <hermanz.dosilovic@gmail.com>",
}
CONFIG = {
    "enable_wait_result": True,
    "enable_callbacks": True,
    "max_queue_size": 100,
    "enable_batched_submissions": True,
    "max_submission_batch_size": 20,
    "submission_cache_duration": 1.0,
}
LANGUAGES = [{"id": number, "name": "x"} for number in (45, *IDS.values())]


def answering(
    about: Any = ABOUT,
    config: Any = CONFIG,
    *,
    fields: tuple[str, ...] = ALWAYS,
    languages: Any = LANGUAGES,
    workers: Any = (),
) -> Callable[[str], Any]:
    """A Judge0 that says this of itself, and whose submissions have these fields."""
    pages = {"/about": about, "/config_info": config, "/languages": languages, "/workers": workers}

    def get(path: str) -> Any:
        if path in pages:
            return pages[path]
        field = path.rpartition("fields=")[2]
        if field not in fields:
            raise CheckFailedError(f'GET {path}: 400 {{"error":"invalid fields: [{field}]"}}')
        return {"submissions": [None]}

    return get


def released() -> Capabilities:
    """Judge0 1.13.1."""
    return detect(answering())


def master() -> Capabilities:
    """Judge0's master."""
    fields = (*ALWAYS, "queued_at", "started_at", "execution_host")
    return detect(answering(config={**CONFIG, "disable_implicit_base64_encoding": False}, fields=fields))


def reference() -> Capabilities:
    """The reference Judge0, with the maintainer that its own code names."""
    found = re.search(r'"maintainer": "([^"]+)"', INFORMATION.read_text())
    assert found
    return detect(answering({**ABOUT, "maintainer": found[1]}))
