"""Which Judge0 answers, what it can do, and which way of handing programs in measures what on it.

Versions do not tell: Judge0's master says 1.13.1 as well. So signs do: master's ``/config_info`` has
``disable_implicit_base64_encoding``; the reference Judge0 names Wavetank as its maintainer in ``/about``.
Which timestamps it has is tried, by a look at a token that nobody has: unknown fields are refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from harness.core.errors import CheckError, UsageError, WavetankError
from harness.judge0 import reading
from harness.judge0.api import BATCH_LIMIT, IDS
from harness.judge0.model import SubmissionMode

Get = Callable[[str], Any]
Kind = Literal["released", "master", "reference"]

ALWAYS = ("created_at", "finished_at", "wall_time")
SOMETIMES = ("queued_at", "started_at")
NOBODY = "00000000-0000-0000-0000-000000000000"
MASTER_KEY = "disable_implicit_base64_encoding"
MASTER_FIRST_POLL = 2.0


@dataclass(frozen=True)
class Capabilities:
    """What the Judge0 at the other end is, and can do.

    ``wait_bypasses_queue``: ``wait=true`` runs programs inside the web server; workers play no part in it.
    ``wait_looks_after`` are the seconds before such an answer can come at all. ``single_get_cached`` are the
    seconds for which ``GET /submissions/TOKEN`` repeats itself. ``queue_limit`` None: unknown.
    ``timestamps`` are the fields that tell when things happened, ``ids`` the languages it has, by our names.
    ``slots`` is how many programs its workers run at once, None where it knows of no worker. ``why`` says by
    which sign it was recognised.
    """

    kind: Kind
    version: str
    wait: bool
    wait_bypasses_queue: bool
    wait_looks_after: float
    single_get_cached: float
    callbacks: bool
    batches: bool
    batch_limit: int
    queue_limit: int | None
    timestamps: tuple[str, ...]
    ids: Mapping[str, int]
    slots: int | None
    why: str

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the report: plain JSON."""
        return {**asdict(self), "timestamps": list(self.timestamps), "ids": dict(self.ids)}


def detect(get: Get) -> Capabilities:
    """What answers. ``get`` returns the JSON at a path, and raises ``CheckError`` for a refusal.

    Raises what ``get`` does where ``/about``, ``/config_info``, ``/languages`` or ``/workers`` are refused,
    ``UsageError`` where what they say is not Judge0's.
    """
    about, config = get("/about"), get("/config_info")
    if not isinstance(about, dict) or not isinstance(config, dict) or "version" not in about:
        raise UsageError(f"this is no Judge0: /about says {about!r:.200}")
    kind, why = _kind(about, config)
    batches = bool(config.get("enable_batched_submissions", True))
    return Capabilities(
        kind=kind,
        version=str(about["version"]),
        wait=bool(config.get("enable_wait_result", True)),
        wait_bypasses_queue=kind == "released",
        wait_looks_after=MASTER_FIRST_POLL if kind == "master" else 0.0,
        single_get_cached=float(config.get("submission_cache_duration", 1.0)),
        callbacks=bool(config.get("enable_callbacks", True)),
        batches=batches,
        batch_limit=int(config.get("max_submission_batch_size", BATCH_LIMIT)),
        queue_limit=_integer(config.get("max_queue_size")),
        timestamps=_timestamps(get) if batches else ALWAYS,
        ids=_ids(get("/languages")),
        slots=_slots(get("/workers")),
        why=why,
    )


def counts_workers(get: Get) -> bool:
    """Whether ``/workers`` may be asked at any time: Judge0's own unregisters live workers when it is."""
    return _kind(get("/about"), get("/config_info"))[0] == "reference"


def choose_mode(
    capabilities: Capabilities, wanted: SubmissionMode | None = None
) -> tuple[SubmissionMode, str]:
    """The submission mode, and the reason for the report.

    The default is ``poll``, which uses the queue and the workers on every Judge0. ``wait`` is not used where
    it would bypass the workers. Raises ``UsageError`` if this Judge0 does not allow the wanted mode.
    """
    if wanted == "callback":
        _require(capabilities.callbacks, "callback", "enable_callbacks")
        return wanted, "callbacks, as asked: ends are heard of, not looked for; no timestamps come with them"
    if wanted == "wait" and not capabilities.wait_bypasses_queue:
        _require(capabilities.wait, "wait", "enable_wait_result")
        return wanted, _why_wait(capabilities)
    _require(capabilities.batches, wanted or "poll", "enable_batched_submissions")
    if wanted == "batch":
        return wanted, "batches, as asked: creations are shared, and looks are by batch, which is not cached"
    if wanted == "wait":
        return "poll", (
            "poll in place of wait: this Judge0 runs what waits inside the web server, past queue and workers"
        )
    return "poll", _why_poll(capabilities)


def _kind(about: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[Kind, str]:
    version = about["version"]
    if str(about.get("maintainer", "")).startswith("Wavetank"):
        return "reference", f"the reference Judge0 ({version}): /about names Wavetank as its maintainer"
    if MASTER_KEY in config:
        return "master", f"Judge0 of branch master (says {version}): /config_info has {MASTER_KEY}"
    return "released", f"Judge0 {version}: /config_info has no {MASTER_KEY}, as master's would"


def _timestamps(get: Get) -> tuple[str, ...]:
    return (*ALWAYS, *(field for field in SOMETIMES if _has(get, field)))


def _has(get: Get, field: str) -> bool:
    """Whether a submission has this field: it is refused by name where not."""
    try:
        get(f"/submissions/batch?tokens={NOBODY}&fields={field}")
    except (CheckError, WavetankError) as error:
        if "invalid fields" in str(error):
            return False
        raise
    return True


def _ids(languages: Any) -> dict[str, int]:
    """Of the languages that programs are written in, those that it has."""
    there = {each.get("id") for each in languages} if isinstance(languages, list) else set()
    return {name: number for name, number in IDS.items() if number in there}


def _slots(queues: Any) -> int | None:
    """``/workers`` counts worker processes; an empty list is what it says before there was any."""
    return reading.slots(queues) if queues else None


def _integer(value: Any) -> int | None:
    return None if value is None else int(value)


def _require(allowed: bool, mode: str, setting: str) -> None:
    if not allowed:
        raise UsageError(
            f"submission mode {mode}: this Judge0 does not allow it ({setting} is false); use another mode"
        )


def _why_wait(capabilities: Capabilities) -> str:
    if capabilities.wait_looks_after:
        return (
            "wait, as asked: on this Judge0 it passes queue and workers, but looks after "
            f"{capabilities.wait_looks_after:g} s for the first time, so no answer is faster than that"
        )
    return "wait, as asked: on this Judge0 it passes queue and workers"


def _why_poll(capabilities: Capabilities) -> str:
    cached = capabilities.single_get_cached
    if cached:
        return f"poll, by batch: what workers do counts, and one submission's GET is cached for {cached:g} s"
    return "poll, by batch: what workers do counts, and one request reads 20 submissions"
