"""Links that delay and lose packets: told, kept, and refused where they cannot be had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rig import call, make_droplet

from emulator.cloud.core import Cloud
from emulator.cloud.models import LinkQuality
from emulator.planes.base import PERFECT, Quality
from emulator.planes.memory import MemoryPlane

SLOW = {"delay_ms": 20.0, "jitter_ms": 0.0, "loss_percent": 1.5}
NONE = {"delay_ms": 0.0, "jitter_ms": 0.0, "loss_percent": 0.0}


def at(droplet_id: int) -> str:
    """Where a droplet's links are told of."""
    return f"/_wavetank/links/droplet/{droplet_id}"


def test_links_are_perfect_until_told_otherwise(cloud: Cloud, plane: MemoryPlane) -> None:
    """They can be asked for, made worse, and perfect again."""
    made = make_droplet(cloud).id
    assert call(cloud, "GET", at(made)).body == {"link": NONE}
    assert call(cloud, "PUT", at(made), {"delay_ms": 20, "loss_percent": 1.5}).body == {"link": SLOW}
    assert plane.qualities[made] == Quality(20, 0, 1.5)
    assert call(cloud, "GET", at(made)).body == {"link": SLOW}
    make_droplet(cloud, "other")
    assert call(cloud, "GET", "/_wavetank/links").body == {"links": [{"droplet_id": made, **SLOW}]}
    assert call(cloud, "DELETE", at(made)).status == 204
    assert call(cloud, "GET", "/_wavetank/links").body == {"links": []}
    assert plane.qualities[made] == PERFECT
    assert call(cloud, "GET", at(made)).body == {"link": NONE}
    assert cloud.store.all(LinkQuality) == []


def test_a_second_word_replaces_the_first(cloud: Cloud) -> None:
    """What it does not say is perfect."""
    made = make_droplet(cloud).id
    call(cloud, "PUT", at(made), SLOW)
    told = call(cloud, "PUT", at(made), {"delay_ms": 5, "jitter_ms": 2.5}).body["link"]
    assert told == {"delay_ms": 5, "jitter_ms": 2.5, "loss_percent": 0}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"delay_ms": -1}, "delay_ms must be from 0 to 10000"),
        ({"delay_ms": 10001}, "delay_ms must be from 0 to 10000"),
        ({"delay_ms": "20ms"}, "delay_ms must be a number"),
        ({"delay_ms": True}, "delay_ms must be a number"),
        ({"delay_ms": 5, "jitter_ms": 6}, "jitter_ms must be from 0 to delay_ms"),
        ({"loss_percent": 101}, "loss_percent must be from 0 to 100"),
        ({"delay": 20}, "unknown field 'delay': one of delay_ms, jitter_ms, loss_percent"),
    ],
)
def test_what_no_link_can_do_is_refused(cloud: Cloud, body: dict[str, Any], message: str) -> None:
    """With the field and what would do."""
    made = make_droplet(cloud).id
    answer = call(cloud, "PUT", at(made), body)
    assert (answer.status, answer.body["message"]) == (422, message)
    assert call(cloud, "GET", at(made)).body == {"link": NONE}


def test_not_a_number_is_refused(cloud: Cloud) -> None:
    """Python's JSON has one."""
    made = make_droplet(cloud).id
    assert call(cloud, "PUT", at(made), b'{"delay_ms": NaN}').status == 422


def test_a_kernel_without_netem_refuses_in_words(cloud: Cloud, plane: MemoryPlane) -> None:
    """Only what it cannot do: a perfect link it has."""
    made = make_droplet(cloud).id
    plane.faults["netem"] = "this machine's kernel has no netem"
    answer = call(cloud, "PUT", at(made), SLOW)
    assert (answer.status, answer.body["id"]) == (501, "not_implemented")
    assert answer.body["message"] == "this machine's kernel has no netem"
    assert call(cloud, "PUT", at(made), NONE).status == 200
    assert call(cloud, "DELETE", at(made)).status == 204


def test_what_the_plane_could_not_do_did_not_happen(cloud: Cloud, plane: MemoryPlane) -> None:
    """Its words are in the answer."""
    made = make_droplet(cloud).id
    plane.faults["shape"] = "tc: Cannot find device"
    answer = call(cloud, "PUT", at(made), SLOW)
    assert (answer.status, answer.body["message"]) == (500, "tc: Cannot find device")
    assert call(cloud, "GET", at(made)).body == {"link": NONE}


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_a_droplet_has_links(cloud: Cloud, method: str) -> None:
    """Another number is none."""
    assert call(cloud, method, at(999), {"delay_ms": 1}).status == 404


def test_links_wait_for_the_action_in_progress(slow_cloud: Cloud) -> None:
    """A droplet that boots would else be wired by what was said before."""
    made = make_droplet(slow_cloud).id
    answer = call(slow_cloud, "PUT", at(made), SLOW)
    assert (answer.status, "pending event" in answer.body["message"]) == (409, True)
    slow_cloud.advance()
    assert call(slow_cloud, "PUT", at(made), SLOW).status == 200


def test_power_comes_back_with_the_same_links(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also with what was said while it was off."""
    specs = []
    monkeypatch.setattr(cloud.plane, "power_on", lambda spec, _policy: specs.append(spec))
    made = make_droplet(cloud).id
    call(cloud, "POST", f"/v2/droplets/{made}/actions", {"type": "power_off"})
    call(cloud, "PUT", at(made), SLOW)
    call(cloud, "POST", f"/v2/droplets/{made}/actions", {"type": "power_on"})
    assert [spec.quality for spec in specs] == [Quality(**SLOW)]


def test_a_destroyed_droplet_takes_its_links_along(cloud: Cloud) -> None:
    """Nothing is kept."""
    made = make_droplet(cloud).id
    call(cloud, "PUT", at(made), SLOW)
    call(cloud, "DELETE", f"/v2/droplets/{made}")
    assert cloud.store.all(LinkQuality) == []


def test_a_restarted_server_tells_links_again(tmp_path: Path) -> None:
    """What the last one said, and that others are perfect: it may have died before it recorded one."""
    machines = tmp_path / "machines.json"
    cloud = Cloud(tmp_path / "cloud.db", MemoryPlane(state=machines), transitions="immediate")
    cloud.start()
    slow, other = make_droplet(cloud, "slow").id, make_droplet(cloud, "other").id
    call(cloud, "PUT", at(slow), SLOW)
    cloud.close()
    plane = MemoryPlane(state=machines)
    again = Cloud(tmp_path / "cloud.db", plane, transitions="immediate")
    again.start()
    told = call(again, "GET", at(slow)).body
    again.close()
    assert told == {"link": SLOW}
    assert plane.qualities == {slow: Quality(**SLOW), other: PERFECT}
