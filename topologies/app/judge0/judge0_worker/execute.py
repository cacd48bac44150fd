"""One submission from source to result: files, compilation, runs."""

import asyncio
import os
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from judge0_worker import verdict
from judge0_worker.report import Meta
from judge0_worker.sandbox import SHELL, Limits, Outcome, Slot
from judge0_worker.settings import Settings
from judge0_worker.verdict import Result

Row = Mapping[str, object]

# A user id of its own for each submission, so that limits on a user's processes never add up over
# submissions, not even over workers that share a kernel.
FIRST_UID, UIDS = 1_000_000, 1_000_000
MULTI_FILE = 89

# Runs in the sandbox (see unpack.py), where all can read it.
UNPACK = ("/usr/bin/python3", "-IS", "/usr/local/lib/judge0/unpack.py")

# Texts up to this size are compared at once; longer ones beside the loop, which other submissions need.
SHORT = 65536

_UNSAFE = re.compile(r"[$&;<>|`\n]")


def sanitize(arguments: str | None) -> str:
    """Arguments as they go into a shell script: without what would make them more than arguments."""
    return _UNSAFE.sub("", arguments or "")


def limits(row: Row, settings: Settings) -> Limits:
    return Limits(
        cpu=row["cpu_time_limit"],
        wall=row["wall_time_limit"],
        memory=row["memory_limit"],
        stack=row["stack_limit"],
        processes=row["max_processes_and_or_threads"],
        file=row["max_file_size"],
        each_memory=row["enable_per_process_and_thread_memory_limit"],
        each_time=row["enable_per_process_and_thread_time_limit"],
        network=row["enable_network"],
        total=settings.compile.memory,
    )


def _write(path: Path, content: bytes, uid: int, mode: int = 0o600) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.chown(path, uid, uid)


async def prepare(row: Row, slot: Slot, uid: int, settings: Settings) -> bool:
    """Fill a clean box. All of it before anything runs: nothing is written where a program could have left a
    link. Returns whether there is something to compile."""
    slot.clean(uid)
    _write(slot.path("stdin"), row["stdin"] or b"", uid)
    box = slot.box
    if row["language_id"] != MULTI_FILE:
        _write(box / row["source_file"], row["source_code"], uid)
        if row["compile_cmd"]:
            options = sanitize(row["compiler_options"])
            _write(box / "compile", (row["compile_cmd"] % options).encode(), uid)
        command = f"{row['run_cmd']} {sanitize(row['command_line_arguments'])}"
        _write(box / "run", command.rstrip().encode(), uid)
    if row["additional_files"]:
        await _unpack(row["additional_files"], slot, uid, settings)
    return _is_file(box / "compile")


async def _unpack(archive: bytes, slot: Slot, uid: int, settings: Settings) -> None:
    """Unpack a zip file into the box, in the sandbox: what it costs is the submission's to bear.

    One that cannot be read, or costs too much, is as many files as were unpacked until then.
    """
    source = slot.path("archive")
    _write(source, archive, uid)
    limits = replace(settings.compile, file=settings.max_extract_size)
    await slot.run((*UNPACK, str(settings.max_extract_size * 1024)), limits, uid=uid, stdin=source)
    source.unlink()


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


async def execute(row: Row, slot: Slot, settings: Settings) -> Result:
    """Compile where needed and run, as often as asked. Raises OSError where the slot cannot be used."""
    try:
        return await _execute(row, slot, settings)
    finally:
        slot.empty()


async def _execute(row: Row, slot: Slot, settings: Settings) -> Result:
    """As in Judge0, each run has a box of its own, so that none finds what an earlier one has left.

    A program that did its work only once would make the mean of its times a lie.
    """
    metas: list[Meta] = []
    for _ in range(max(1, row["number_of_runs"])):
        uid = FIRST_UID + row["id"] % UIDS
        compiled = None
        if await prepare(row, slot, uid, settings):
            compiled = await slot.run((SHELL, "compile"), settings.compile, uid=uid, stdin=None, merge=True)
            if compiled.meta.status:
                return _not_compiled(compiled)
        outcome = await _run(row, slot, uid, settings)
        metas.append(outcome.meta)
        status = await _judge(outcome, row["expected_output"])
        if status != verdict.ACCEPTED:
            break
    if status == verdict.INTERNAL_ERROR:
        return _internal(outcome.meta)
    return _result(status, outcome, metas, compiled.stdout if compiled else None)


def _not_compiled(compiled: Outcome) -> Result:
    if compiled.meta.status == "XX":
        return _internal(compiled.meta)
    late = compiled.meta.status == "TO"
    told = b"Compilation time limit exceeded." if late else compiled.stdout
    return Result(verdict.COMPILATION_ERROR, compile_output=told)


async def _run(row: Row, slot: Slot, uid: int, settings: Settings) -> Outcome:
    merge = row["redirect_stderr_to_stdout"]
    stdin = slot.path("stdin")
    return await slot.run((SHELL, "run"), limits(row, settings), uid=uid, stdin=stdin, merge=merge)


async def _judge(outcome: Outcome, expected: bytes | None) -> int:
    judged = outcome.meta, outcome.stdout, expected
    if len(outcome.stdout or b"") + len(expected or b"") <= SHORT:
        return verdict.status(*judged)
    return await asyncio.to_thread(verdict.status, *judged)


def _result(status: int, outcome: Outcome, metas: Sequence[Meta], compile_output: bytes | None) -> Result:
    last, memory = metas[-1], verdict.mean([meta.memory for meta in metas])
    return Result(
        status,
        stdout=outcome.stdout,
        stderr=outcome.stderr,
        compile_output=compile_output,
        message=last.message.encode() if last.message else None,
        time=verdict.mean([meta.time for meta in metas]),
        wall_time=verdict.mean([meta.wall_time for meta in metas]),
        memory=None if memory is None else int(memory),
        exit_code=last.exit_code,
        exit_signal=last.exit_signal,
    )


def _internal(meta: Meta) -> Result:
    return Result(verdict.INTERNAL_ERROR, message=(meta.message or "").encode())
