"""A damaged state directory: one sentence that names the file and a remedy, and nothing overwritten."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from rig import call, make_droplet

from emulator import __main__ as program
from emulator.api.tls import server_files
from emulator.cloud import certificates
from emulator.cloud.core import Cloud
from emulator.cloud.models import Droplet, Tag
from emulator.cloud.store import VERSION, Store, StoreError
from emulator.planes.memory import MemoryPlane
from emulator.statedir import system_of
from harness.core.errors import EngineError

PORTS = [
    "[99999, 8080]", "[8443, 8080, 1]", "[8443, 8443]", "[-1, 8080]", "[0, 1]", "text", "", '["a", "b"]',
    "{}", "[true, 8080]", "[1.5, 2]", "[" * 100_000, "\xff",
]  # fmt: skip


@pytest.fixture
def serve(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., str]]:
    """Start the program on a state directory that it must refuse; what it says."""
    monkeypatch.setattr(program, "_log_to", lambda path: None)
    before = os.umask(0o022)

    def run(state: Path) -> str:
        assert program.main(["serve", "--plane", "memory", "--state", str(state)]) == 3
        said = capsys.readouterr().err.strip()
        assert said.startswith("emulator: "), said
        assert len(said.splitlines()) == 1, said
        return said

    yield run
    os.umask(before)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory of a server that has served one droplet."""
    plane = MemoryPlane(state=tmp_path / "memory-plane.json")
    cloud = Cloud(tmp_path / "state.db", plane, transitions="immediate")
    cloud.start()
    make_droplet(cloud)
    cloud.close()
    server_files(tmp_path, "127.0.0.1")
    (tmp_path / "ports.json").write_text("[18443, 18080]")
    return tmp_path


def scribble(file: Path) -> None:
    """Spoil the middle of a file."""
    with file.open("r+b") as opened:
        opened.seek(4096)
        opened.write(b"\x5a" * 8192)


def from_the_future(file: Path) -> None:
    """As a later Wavetank would leave it."""
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")


def unknown_kind(file: Path) -> None:
    """A record that nobody knows."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("INSERT INTO record (kind, key, body) VALUES ('kubernetes', '1', '{}')")


def unreadable_record(file: Path) -> None:
    """A droplet with a field too many."""
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE record SET body = '{\"id\": 1}' WHERE kind = 'droplet'")


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "garbage": (lambda file: file.write_bytes(b"not a database" * 1000), "is damaged"),
    "a scribble": (scribble, "is damaged"),
    "a text": (lambda file: file.write_text("hello"), "is damaged"),
    "the future": (from_the_future, "newer Wavetank"),
    "an unknown kind": (unknown_kind, "not known"),
    "an unreadable record": (unreadable_record, "a droplet that cannot be read"),
    "nothing": (lambda file: file.write_bytes(b""), "gone or empty, and 1 machines"),
    "no file": (lambda file: file.unlink(), "gone or empty, and 1 machines"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_records_that_are_damaged_are_refused(state: Path, serve: Callable[..., str], damage: str) -> None:
    """Exit 3; neither the file nor the machines that it knew of are touched."""
    spoil, word = DAMAGES[damage]
    file = state / "state.db"
    spoil(file)
    before = file.read_bytes() if file.exists() else None
    machines = (state / "memory-plane.json").read_text()
    said = serve(state)
    assert str(file) in said
    assert word in said
    assert "stop --destroy" in said or "newer" in said
    assert (file.read_bytes() if file.exists() else None) == before
    assert (state / "memory-plane.json").read_text() == machines


def test_records_that_are_locked_are_refused(
    state: Path, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By whoever has the file open in a transaction."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **named: connect(*args, timeout=0.1, **named))
    with closing(connect(state / "state.db", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        said = serve(state)
    assert "is locked by another process" in said


@pytest.mark.parametrize("text", PORTS)
def test_ports_that_are_none_are_refused(state: Path, serve: Callable[..., str], text: str) -> None:
    """They were taken for what they are not, or for nothing."""
    (state / "ports.json").write_bytes(text.encode("latin-1"))
    said = serve(state)
    assert str(state / "ports.json") in said
    assert "remove it" in said


def test_ports_that_cannot_be_read_are_refused(state: Path, serve: Callable[..., str]) -> None:
    """Here a directory has their name."""
    (state / "ports.json").unlink()
    (state / "ports.json").mkdir()
    assert "ports.json is not usable: it cannot be read" in serve(state)


def expire(state: Path) -> None:
    """A server certificate that ended five days ago."""
    authority = certificates.Pair((state / "ca.pem").read_text(), (state / "tls/ca-key.pem").read_text())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(certificates, "LIFETIME", timedelta(days=5))
        patch.setattr(certificates, "datetime", TenDaysAgo)
        pair = certificates.issue(authority, ["localhost"])
    (state / "tls/server.pem").write_text(pair.certificate)
    (state / "tls/server-key.pem").write_text(pair.key)


class TenDaysAgo(certificates.datetime):
    """A clock for certificates that are over."""

    @classmethod
    def now(cls, tz: object = None) -> certificates.datetime:
        """The present."""
        return super().now(tz) - timedelta(days=10)  # type: ignore[arg-type]  # as it came


def strange_authority(state: Path) -> None:
    """An authority that did not issue the certificate."""
    (state / "ca.pem").write_text(certificates.make_authority("other").certificate)


def other_key(state: Path) -> None:
    """A key that is good, and of another certificate."""
    (state / "tls/server-key.pem").write_text(certificates.make_authority("other").key)


KEY, CERTIFICATE, AUTHORITY = "tls/server-key.pem", "tls/server.pem", "ca.pem"
SPOILT: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a key of garbage": (lambda at: (at / KEY).write_text("x"), KEY, "not a private key"),
    "an empty key": (lambda at: (at / KEY).write_text(""), KEY, "not a private key"),
    "a key of bytes": (lambda at: (at / KEY).write_bytes(b"\xff\x00"), KEY, "cannot be read"),
    "another's key": (other_key, KEY, "not the key of"),
    "garbage for a certificate": (
        lambda at: (at / CERTIFICATE).write_text("x"), CERTIFICATE, "not a certificate"
    ),
    "no certificate": (lambda at: (at / CERTIFICATE).unlink(), CERTIFICATE, "cannot be read"),
    "no authority": (lambda at: (at / AUTHORITY).unlink(), AUTHORITY, "cannot be read"),
    "an authority of garbage": (lambda at: (at / AUTHORITY).write_text("x"), AUTHORITY, "not a certificate"),
    "another authority": (strange_authority, CERTIFICATE, "was not issued by"),
    "an old certificate": (expire, CERTIFICATE, "valid from"),
}  # fmt: skip


@pytest.mark.parametrize("what", SPOILT)
def test_a_certificate_that_no_client_would_take_is_refused(
    state: Path, serve: Callable[..., str], what: str
) -> None:
    """With the file, and what makes a new one; that then works."""
    spoil, file, word = SPOILT[what]
    spoil(state)
    said = serve(state)
    assert str(state / file) in said
    assert word in said
    assert f"remove the directory {state / 'tls'}" in said
    for each in (state / "tls").iterdir():
        each.unlink()
    server_files(state, "127.0.0.1")


def test_a_plane_that_is_none_is_refused(state: Path, serve: Callable[..., str]) -> None:
    """It was taken for Docker."""
    (state / "plane").write_text("kubernetes")
    assert "'kubernetes' is not a plane" in serve(state)


def test_droplets_that_are_nothing_known_are_refused(state: Path, serve: Callable[..., str]) -> None:
    """As a plane is; what served before there was a choice has Debian."""
    (state / "droplets").write_text("windows")
    assert "'windows' is nothing that a droplet may be; write debian-13 or ubuntu-24.04" in serve(state)
    (state / "droplets").unlink()
    assert system_of(state, None) == "debian-13"
    with pytest.raises(EngineError, match=r"destroy it before using ubuntu-24\.04"):
        system_of(state, "ubuntu-24.04")


def test_machines_that_cannot_be_read_are_refused(state: Path, serve: Callable[..., str]) -> None:
    """The memory plane's own file."""
    (state / "memory-plane.json").write_text("[")
    assert "memory-plane.json cannot be read" in serve(state)


def test_a_state_directory_that_is_a_file_is_refused(tmp_path: Path, serve: Callable[..., str]) -> None:
    """No traceback either."""
    (tmp_path / "file").write_text("")
    assert "the state directory cannot be used" in serve(tmp_path / "file")


# -- under a running server


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Cloud]:
    """A cloud on a file, with one droplet."""
    cloud = Cloud(tmp_path / "state.db", MemoryPlane(), transitions="immediate")
    cloud.start()
    make_droplet(cloud)
    yield cloud
    cloud.close()


def replace_file(file: Path) -> None:
    """Another file under the same name, as a restored backup is."""
    other = file.with_name("other")
    other.write_bytes(file.read_bytes())
    other.replace(file)


LOSSES: dict[str, Callable[[Path], object]] = {
    "deleted": lambda file: file.unlink(),
    "replaced": replace_file,
    "moved": lambda file: file.rename(file.with_name("moved")),
    "without its journal": lambda file: file.with_name("state.db-wal").unlink(),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_records_that_are_lost_under_the_server_are_noticed(
    running: Cloud, tmp_path: Path, caplog: pytest.LogCaptureFixture, loss: str
) -> None:
    """503 and never 201, from the next write on, for good; what was known is saved beside."""
    file = tmp_path / "state.db"
    LOSSES[loss](file)
    for _ in range(2):
        response = call(running, "POST", "/v2/tags", {"name": "web"})
        assert (response.status, response.body["id"]) == (503, "service_unavailable")
        assert f"{file} was deleted or replaced" in response.body["message"]
    assert call(running, "GET", "/v2/droplets").body["meta"]["total"] == 1
    told = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record for record in told if "deleted or replaced" in record.getMessage()], "the log says so, too"
    rescued = tmp_path / "state.db.rescued"
    assert not stat.S_IMODE(rescued.stat().st_mode) & 0o077
    store = Store(rescued)
    assert [droplet.name for droplet in store.all(Droplet)] == ["web"]
    assert not store.all(Tag)
    store.close()


def test_a_loss_in_the_middle_of_a_request_is_noticed(running: Cloud, tmp_path: Path) -> None:
    """What was answered is what is on the disk: the last look is before the commit."""

    def loses() -> None:
        with running.store.transaction():
            running.store.put(Tag(name="web"))
            (tmp_path / "state.db").unlink()

    with pytest.raises(StoreError, match="deleted or replaced"):
        loses()
    assert not running.store.all(Tag)


def test_a_state_directory_that_is_gone_is_noticed(running: Cloud, tmp_path: Path) -> None:
    """There is nowhere to save anything then, and that is said."""
    for file in tmp_path.iterdir():
        file.unlink()
    tmp_path.rmdir()
    response = call(running, "POST", "/v2/tags", {"name": "web"})
    assert (response.status, "could not be saved" in response.body["message"]) == (503, True)
    tmp_path.mkdir()


def test_a_write_that_is_locked_out_is_not_a_fault_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 while another process has the records, and all is well afterwards."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **named: connect(*args, timeout=0.1, **named))
    cloud = Cloud(tmp_path / "state.db", MemoryPlane(), transitions="immediate")
    cloud.start()
    with closing(connect(tmp_path / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        response = call(cloud, "POST", "/v2/tags", {"name": "web"})
        assert (response.status, "locked by another process" in response.body["message"]) == (503, True)
        other.execute("ROLLBACK")
    assert call(cloud, "POST", "/v2/tags", {"name": "web"}).status == 201
    cloud.close()


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    """503; once there is room again, the same request is answered."""
    cloud = Cloud(tmp_path / "state.db", MemoryPlane(), transitions="immediate")
    cloud.start()
    database = cloud.store._db
    (pages,) = database.execute("PRAGMA page_count").fetchone()
    database.execute(f"PRAGMA max_page_count = {pages}")
    keys = [call(cloud, "POST", "/v2/tags", {"name": f"{number}-{'x' * 200}"}).status for number in range(60)]
    assert set(keys) == {201, 503}
    database.execute(f"PRAGMA max_page_count = {pages * 100}")
    assert call(cloud, "POST", "/v2/tags", {"name": "web"}).status == 201
    cloud.close()
    store = Store(tmp_path / "state.db")
    assert len(store.all(Tag)) == keys.count(201) + 1
    store.close()


def test_an_endpoint_that_is_none_is_named(tmp_path: Path) -> None:
    """To whoever looks for the emulator."""
    from harness.core.errors import EngineError
    from harness.target import emulator_process

    file = tmp_path / "emulator" / "endpoint.json"
    file.parent.mkdir()
    strange = dict.fromkeys(("pid", "https", "http", "plane", "ca_file", "token"), "x")
    for text in ("[]", "{}", "1", "{", json.dumps(strange)):
        file.write_text(text)
        with pytest.raises(EngineError, match=r"(?s)endpoint\.json.*remove it"):
            emulator_process.status(tmp_path)
