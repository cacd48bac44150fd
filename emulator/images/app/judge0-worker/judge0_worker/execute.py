"""One submission from source to result: files, compilation, runs."""

import io
import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from judge0_worker import verdict
from judge0_worker.sandbox import Limits, Slot
from judge0_worker.settings import Settings
from judge0_worker.verdict import Meta, Result

Row = Mapping[str, object]

# A user id of its own for each submission, so that limits on a user's processes never add up over
# submissions, not even over workers that share a kernel.
FIRST_UID, UIDS = 1_000_000, 1_000_000
MULTI_FILE = 89

_UNSAFE = re.compile(r"[$&;<>|`\n]")


def sanitize(arguments: str | None) -> str:
    """Arguments as they go into a shell script: without what would make them more than arguments."""
    return _UNSAFE.sub("", arguments or "")


def limits(row: Row) -> Limits:
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
    )


def _write(path: Path, content: bytes, uid: int, mode: int = 0o600) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    os.chown(path, uid, uid)


def extract(archive: bytes, box: Path, uid: int, *, largest: int) -> None:
    """Unpack a zip file into the box, never over what is there; one that cannot be read is no files at all.

    Stops after `largest` bytes. Links in the archive become plain files, names cannot lead out of the box.
    """
    left = largest
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            for member in files.infolist():
                target = box / os.path.normpath("/" + member.filename).lstrip("/")
                if member.is_dir() or target == box or target.exists():
                    continue
                with files.open(member) as file:
                    content = file.read(left + 1)
                left -= len(content)
                if left < 0:
                    return
                _make_parents(target.parent, box, uid)
                _write(target, content, uid, 0o600 | (member.external_attr >> 16) & 0o100)
    except (
        zipfile.BadZipFile,
        zipfile.LargeZipFile,
        RuntimeError,
        ValueError,
        OSError,
        EOFError,
    ):
        return


def _make_parents(directory: Path, box: Path, uid: int) -> None:
    if directory != box and not directory.exists():
        _make_parents(directory.parent, box, uid)
        directory.mkdir(0o700)
        os.chown(directory, uid, uid)


def prepare(row: Row, slot: Slot, uid: int, settings: Settings) -> bool:
    """Fill a clean box. All of it before anything runs: nothing is written where a program could have left a
    link. Returns whether there is something to compile."""
    slot.clean(uid)
    _write(slot.path("stdin"), row["stdin"] or b"", 0)
    box = slot.box
    if row["language_id"] == MULTI_FILE:
        extract(row["additional_files"], box, uid, largest=settings.max_extract_size * 1024)
        return (box / "compile").is_file()
    _write(box / row["source_file"], row["source_code"], uid)
    if row["compile_cmd"]:
        _write(box / "compile", (row["compile_cmd"] % sanitize(row["compiler_options"])).encode(), uid)
    _write(box / "run", f"{row['run_cmd']} {sanitize(row['command_line_arguments'])}".rstrip().encode(), uid)
    if row["additional_files"]:
        extract(row["additional_files"], box, uid, largest=settings.max_extract_size * 1024)
    return row["compile_cmd"] is not None


async def execute(row: Row, slot: Slot, settings: Settings) -> Result:
    """Compile where needed, run as often as asked. Raises OSError where the slot cannot be used."""
    uid = FIRST_UID + row["id"] % UIDS
    compile_output = None
    if prepare(row, slot, uid, settings):
        meta = await slot.run("compile", settings.compile, uid=uid, stdin=None, merge=True)
        compile_output = _read(slot.path("stdout"))
        if meta.status == "XX":
            return _internal(meta)
        if meta.status:
            if meta.status == "TO":
                compile_output = b"Compilation time limit exceeded."
            return Result(verdict.COMPILATION_ERROR, compile_output=compile_output)
    return await _run(row, slot, uid, compile_output)


async def _run(row: Row, slot: Slot, uid: int, compile_output: bytes | None) -> Result:
    metas: list[Meta] = []
    status, stdout, stderr = verdict.ACCEPTED, None, None
    merge = row["redirect_stderr_to_stdout"]
    for _ in range(row["number_of_runs"]):
        meta = await slot.run("run", limits(row), uid=uid, stdin=slot.path("stdin"), merge=merge)
        metas.append(meta)
        stdout = _read(slot.path("stdout"))
        stderr = None if merge else _read(slot.path("stderr"))
        status = verdict.status(meta, stdout, row["expected_output"])
        if status != verdict.ACCEPTED:
            break
    last = metas[-1]
    if status == verdict.INTERNAL_ERROR:
        return _internal(last)
    memory = verdict.mean([meta.memory for meta in metas])
    return Result(
        status,
        stdout=stdout,
        stderr=stderr,
        compile_output=compile_output,
        message=last.message.encode() if last.message else None,
        time=verdict.mean([meta.time for meta in metas]),
        wall_time=verdict.mean([meta.wall_time for meta in metas]),
        memory=None if memory is None else int(memory),
        exit_code=last.exit_code if last.exit_code is not None or last.status == "TO" else None,
        exit_signal=last.exit_signal,
    )


def _internal(meta: Meta) -> Result:
    return Result(verdict.INTERNAL_ERROR, message=(meta.message or "").encode())


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes() or None
    except FileNotFoundError:
        return None
