"""What a server that died leaves, the next one finishes."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from rig import make_database, make_droplet

from emulator.cloud import databases, droplets, firewalls, keys, tags, vpcs
from emulator.cloud.core import Cloud
from emulator.cloud.errors import NotFoundError
from emulator.cloud.models import Droplet, Job, Tag
from emulator.cloud.store import Store
from emulator.planes.base import PlaneError
from emulator.planes.memory import MemoryPlane


def open_cloud(path: Path, plane: MemoryPlane, transitions: str = "immediate") -> Cloud:
    """The cloud of a state file, started."""
    cloud = Cloud(path, plane, transitions=transitions)  # type: ignore[arg-type]  # one of the three words
    cloud.start()
    return cloud


def test_everything_is_found_again(tmp_path: Path, plane: MemoryPlane) -> None:
    """Records, addresses and the token outlive the server."""
    first = open_cloud(tmp_path / "db", plane)
    tags.create(first, "web")
    rule = firewalls.RuleRequest("tcp", "22", addresses=["0.0.0.0/0"])
    wall = firewalls.create(first, firewalls.FirewallRequest("fw", inbound=[rule], tags=["web"]))
    droplet, database = make_droplet(first, tags=["web"]), make_database(first)
    token = first.account.token
    first.store.close()
    second = open_cloud(tmp_path / "db", plane)
    assert second.account.token == token
    assert droplets.get(second, droplet.id).status == "active"
    assert databases.get(second, database.id).status == "online"
    assert second.network.status(firewalls.get(second, wall.id)) == ("succeeded", [])
    assert make_droplet(second, "next").private_ip not in (droplet.private_ip, database.private_ip)
    second.close()


def test_work_that_was_recorded_is_finished(tmp_path: Path, plane: MemoryPlane) -> None:
    """A droplet being made, one being destroyed and a cluster being made end as they were meant to."""
    first = open_cloud(tmp_path / "db", plane, "manual")
    leaving = make_droplet(first, "leaving")
    first.advance()
    coming, database = make_droplet(first, "coming"), make_database(first)
    droplets.delete(first, leaving.id)
    first.store.close()
    second = open_cloud(tmp_path / "db", plane)
    assert droplets.get(second, coming.id).status == "active"
    assert databases.get(second, database.id).status == "online"
    assert second.store.get(Droplet, leaving.id) is None
    assert set(plane.existing().machines) == {coming.ref, database.ref}
    assert not second.store.all(Job)
    second.close()


def test_an_interrupted_boot_is_not_an_error(tmp_path: Path, plane: MemoryPlane) -> None:
    """A server that is stopped in the middle of a boot leaves it to the next, not errored."""
    plane.faults["droplet:web"] = "hangs"
    first = open_cloud(tmp_path / "db", plane, "background")
    made = make_droplet(first)
    first.close()
    second = open_cloud(tmp_path / "db", MemoryPlane())
    assert droplets.get(second, made.id).status == "active"
    second.close()


def test_work_that_outlives_the_store_is_left_to_the_next(tmp_path: Path, plane: MemoryPlane) -> None:
    """A thread that comes back from the plane only after the end says nothing, and breaks nothing."""
    plane.faults["droplet:web"] = "hangs"
    first = open_cloud(tmp_path / "db", plane, "background")
    made = make_droplet(first)
    threads = [each for each in threading.enumerate() if each.name == made.ref]
    first.store.close()
    plane.close()
    for thread in threads:
        thread.join(10)
    assert len(threads) == 1
    second = open_cloud(tmp_path / "db", MemoryPlane())
    assert droplets.get(second, made.id).status == "active"
    second.close()
    first.network.close()


def test_machines_without_a_record_are_removed(tmp_path: Path, plane: MemoryPlane) -> None:
    """Nobody could reach them."""
    first = open_cloud(tmp_path / "db", plane)
    make_droplet(first)
    make_database(first)
    first.store.close()
    open_cloud(tmp_path / "other", plane).close()
    assert not plane.existing().machines


def test_machines_that_stopped_with_the_engine_are_started(tmp_path: Path, plane: MemoryPlane) -> None:
    """What was on is on again; what was off stays off."""
    first = open_cloud(tmp_path / "db", plane)
    droplet, other, database = make_droplet(first, "a"), make_droplet(first, "b"), make_database(first)
    droplets.put_if_there(first, other.id, status="off")
    first.store.close()
    for ref in (droplet.ref, other.ref, database.ref):
        plane._set(ref, "stopped")
    second = open_cloud(tmp_path / "db", plane)
    machines = plane.existing().machines
    assert machines == {droplet.ref: "running", other.ref: "stopped", database.ref: "running"}
    second.close()


def test_a_machine_that_is_gone_is_reported(tmp_path: Path, plane: MemoryPlane) -> None:
    """It is not made anew behind the user's back, for its disk would be empty."""
    first = open_cloud(tmp_path / "db", plane)
    droplet, database = make_droplet(first), make_database(first)
    first.store.close()
    second = open_cloud(tmp_path / "db", MemoryPlane())
    assert droplets.get(second, droplet.id).status == "off"
    assert "gone" in droplets.get(second, droplet.id).error
    assert databases.get(second, database.id).status == "creating"
    assert "gone" in databases.get(second, database.id).error
    second.close()


def test_a_cloud_that_cannot_enforce_does_not_start(tmp_path: Path, plane: MemoryPlane) -> None:
    """Rules that would not hold are worse than none."""
    plane.faults["apply"] = "nft: operation not permitted"
    with pytest.raises(PlaneError, match="not permitted"):
        open_cloud(tmp_path / "db", plane)


def test_many_at_once_get_ids_and_addresses_of_their_own(busy_cloud: Cloud) -> None:
    """Forty threads, forty droplets, no two alike."""
    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(lambda number: make_droplet(busy_cloud, f"d{number}"), range(40)))
    assert len({droplet.id for droplet in made}) == 40
    assert len({droplet.public_ip for droplet in made}) == 40
    assert len({droplet.private_ip for droplet in made}) == 40


def test_a_transaction_is_all_or_nothing(tmp_path: Path) -> None:
    """Also across nested ones, and what was to follow does not."""
    store = Store(tmp_path / "db")
    followed: list[int] = []

    def fails() -> None:
        with store.transaction():
            store.put(Tag(name="one"))
            store.after_commit(lambda: followed.append(1))
            raise NotFoundError

    with pytest.raises(NotFoundError):
        fails()
    assert (store.all(Tag), followed) == ([], [])
    with store.transaction():
        store.put(Tag(name="two"))
        store.after_commit(lambda: followed.append(2))
        assert followed == []
    assert ([tag.name for tag in store.all(Tag)], followed) == (["two"], [2])
    store.close()


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    """Not even after a restart."""
    store = Store(tmp_path / "db")
    first = [store.next_number("a", 10), store.next_number("a", 10)]
    store.close()
    store = Store(tmp_path / "db")
    assert [*first, store.next_number("a", 10), store.next_number("b", 5)] == [10, 11, 12, 5]
    store.close()


def test_keys_and_vpcs_outlive_a_reopening(tmp_path: Path) -> None:
    """Seeding happens once."""
    first = open_cloud(tmp_path / "db", MemoryPlane())
    key = keys.create(first, name="k", public_key=KEY)
    default = vpcs.default(first, "fra1")
    first.close()
    second = open_cloud(tmp_path / "db", MemoryPlane())
    assert keys.get(second, key.id) == key
    assert vpcs.default(second, "fra1") == default
    second.close()


KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6gkR3y2yhP7YQWGCVZzx6Q0MfSUBbm8Uq2a3nXe7b2 me"
