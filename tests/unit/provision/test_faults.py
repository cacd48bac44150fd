"""Whatever fails on the way, it says which resource and why, and nothing is left half-made."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import responses
from small_topology import OPERATORS, PUBLIC_KEY, QUIET, Serve, droplet, make_topology

import emulator
from emulator.cloud.core import Cloud
from emulator.planes.memory import MemoryPlane
from harness import provision
from harness.core.errors import ApiError, CredentialsError, ResourceError, WaitTimeoutError
from harness.core.parallel import in_parallel
from harness.core.wait import NotYet, wait_for
from harness.provision import Deadlines
from harness.provision.observe import snapshot
from harness.target import emulator_process
from harness.target.api import Api
from harness.target.target import Target
from harness.topology.deployment import Deployment
from harness.topology.model import Topology

SOON = Deadlines(droplets=1, databases=1, firewalls=1, removal=20)


def up(target: Target, run: str = "a", topology: Topology | None = None, **options: Any) -> Deployment:
    """Provision a run of the small topology."""
    given = {"public_key": PUBLIC_KEY, "progress": QUIET, **options}
    return provision.provision(target, topology or make_topology(), run, **given)


def test_a_droplet_that_never_boots_is_named_with_what_its_console_says(serve: Serve) -> None:
    """And everything else of the run is taken away."""
    target = serve(droplet_api="the kernel panicked")
    with pytest.raises(ResourceError, match=r"(?s)droplet 'api'.*the kernel panicked.*api boots"):
        up(target)
    assert provision.leftovers(target, "a") == ()


def test_a_droplet_that_hangs_runs_into_the_deadline(serve: Serve) -> None:
    """The error says what was seen last."""
    target = serve(droplet_api="hangs")
    with pytest.raises(WaitTimeoutError, match="api new"):
        up(target, deadlines=SOON)
    assert provision.leftovers(target, "a") == ()


def test_a_database_that_cannot_be_made_is_named(serve: Serve) -> None:
    """The API has no status for it; the emulator's own path tells."""
    target = serve(**{"database_wavetank-a--main": "no space left on device"})
    with pytest.raises(ResourceError, match=r"database 'main'.*no space left"):
        up(target)
    assert provision.leftovers(target, "a") == ()


def test_a_firewall_that_fails_is_waited_for_until_the_deadline(target: Target) -> None:
    """It is tried again by whoever applies it, so only one that never succeeds is an error."""
    plane = MemoryPlane()
    with emulator.mock(plane=plane):
        plane.faults["apply"] = "nft is busy"
        with pytest.raises(WaitTimeoutError, match="wavetank-a--web could not be applied yet"):
            up(target, deadlines=SOON)
        assert provision.leftovers(target, "a") == ()


def test_a_database_that_a_cloud_never_makes_runs_into_the_deadline(serve: Serve) -> None:
    """Without an emulator's own path there is no status that says failed; what was seen last is told."""
    target = replace(serve(**{"database_wavetank-a--main": "no space left"}), name="do", info={})
    with pytest.raises(WaitTimeoutError, match=r"databases to be online.*wavetank-a--main creating"):
        up(target, deadlines=SOON)
    assert provision.leftovers(target, "a") == ()


def test_what_failed_can_be_kept_for_a_look(target: Target) -> None:
    """``keep`` leaves everything."""
    with emulator.mock(plane=MemoryPlane(faults={"droplet:api": "the kernel panicked"})):
        with pytest.raises(ResourceError, match="droplet 'api'"):
            up(target, keep=True)
        assert any("droplet web" in each for each in provision.leftovers(target, "a"))


def test_a_refused_droplet_takes_the_rest_with_it(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    """422 from the API, as for a name that it does not like."""
    bad = make_topology(
        droplets={"web": droplet("web"), "not_a_host_name": droplet("not_a_host_name")},
        databases={},
        firewalls=(),
    )
    with emulator.mock():
        with pytest.raises(ResourceError, match=r"droplet 'not_a_host_name': create: POST .*: 422"):
            up(target, topology=bad)
        assert provision.leftovers(target, "a") == ()


def test_what_stood_before_a_failure_stays() -> None:
    """A failed up removes what it made, not what it found."""
    target = Target("do", "https://api.digitalocean.com", "token", operators=OPERATORS)
    plane = MemoryPlane()
    with emulator.mock(plane=plane):
        first = up(target)
        plane.faults["droplet:more"] = "no room"
        bigger = make_topology(droplets={name: droplet(name) for name in ("web", "api", "more")})
        with pytest.raises(ResourceError, match="droplet 'more'"):
            up(target, topology=bigger)
        assert up(target) == first


def test_a_refused_token_names_where_it_comes_from(serve: Serve) -> None:
    """Exit code 4: nothing was changed."""
    target = replace(serve(), token="wrong")
    with pytest.raises(CredentialsError, match="DIGITALOCEAN_TOKEN") as raised:
        up(target)
    assert raised.value.exit_code == 4


def test_an_endpoint_where_nobody_answers_is_named() -> None:
    """With the request and the reason."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        endpoint = f"https://127.0.0.1:{bound.getsockname()[1]}"
        with pytest.raises(ApiError, match=f"{endpoint}/v2/.*no answer unreachable.*refused"):
            up(Target("do", endpoint, "token", operators=OPERATORS))


def test_a_certificate_of_an_unknown_authority_is_refused(serve: Serve) -> None:
    """The token is not sent to just anybody."""
    with pytest.raises(ApiError, match=r"(?i)certificate"):
        provision.runs(replace(serve(), ca_file=None))


def test_a_post_is_not_repeated_after_a_server_error(target: Target) -> None:
    """It may have made the thing; a second one would make it twice."""
    with responses.RequestsMock() as mocked:
        mocked.post(f"{target.endpoint}/v2/tags", status=503, json={"id": "server_error", "message": "later"})
        with Api(target) as api, pytest.raises(ApiError, match="503 server_error: later"):
            api.client.tags.create(body={"name": "x"})
        assert len(mocked.calls) == 1


def test_a_post_that_was_refused_for_its_rate_is_repeated(target: Target) -> None:
    """429 comes before anything is done."""
    with responses.RequestsMock() as mocked:
        url = f"{target.endpoint}/v2/tags"
        mocked.post(url, status=429, json={"id": "too_many_requests"}, headers={"retry-after": "0"})
        mocked.post(url, status=201, json={"tag": {"name": "x"}})
        with Api(target) as api:
            assert api.client.tags.create(body={"name": "x"}) == {"tag": {"name": "x"}}


def test_a_listed_404_is_an_error_all_the_same(cloud: Cloud, target: Target) -> None:
    """pydo returns the error's body as if it were the droplet."""
    with Api(target) as api, pytest.raises(ApiError) as raised:
        api.client.droplets.get(1)
    assert (raised.value.status, raised.value.id) == (404, "not_found")


def when(
    target: Target, seen: Callable[[tuple[str, ...]], bool], act: Callable[[], object]
) -> threading.Thread:
    """Do something as soon as the run looks a certain way."""

    def watch() -> None:
        def probe() -> None:
            if not seen(provision.leftovers(target, "a")):
                raise NotYet("not there")

        wait_for("the right moment", probe, deadline=30, max_pause=0.05)
        act()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def has_droplet(resources: tuple[str, ...]) -> bool:
    """Whether the first droplet has been asked for."""
    return any(each.startswith("droplet") for each in resources)


def test_ctrl_c_in_the_middle_leaves_nothing(serve: Serve) -> None:
    """A real signal, while droplets boot."""
    target = serve(delay=10)
    watcher = when(target, has_droplet, lambda: os.kill(os.getpid(), signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        up(target)
    watcher.join()
    assert provision.leftovers(target, "a") == ()


def test_the_emulator_killed_in_the_middle_and_up_again_finishes(serve: Serve, topology: Topology) -> None:
    """kill -9; what the first up made is found again, and made once only."""
    target = serve(delay=3)

    def kill() -> None:
        running = emulator_process.status(state_dir)
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)

    assert target.ca_file is not None
    state_dir = target.ca_file.parent.parent
    watcher = when(target, has_droplet, kill)
    with pytest.raises((ApiError, ResourceError)):
        up(target, keep=True)
    watcher.join()
    again = serve()
    made = up(again)
    assert {node.status for node in made.nodes.values()} == {"active"}
    with Api(again) as api:
        seen = snapshot(api, "a")
    assert (len(seen.droplets), len(seen.databases), len(seen.vpcs)) == (2, 1, 1)
    assert provision.plan(again, topology, "a").empty


def test_two_runs_at_once_do_not_disturb_each_other(serve: Serve, topology: Topology) -> None:
    """Made side by side, and one taken down while the other stands."""
    target = serve(delay=0.3)
    other_key = PUBLIC_KEY.replace("AAAAIDQp", "AAAAIDQq")
    one, two = in_parallel([partial(up, target, "a"), partial(up, target, "b", public_key=other_key)])
    assert {one.nodes["web"].id, one.nodes["api"].id}.isdisjoint(node.id for node in two.nodes.values())
    provision.destroy(target, "a", progress=QUIET)
    assert provision.runs(target) == ("b",)
    assert provision.observe(target, topology, "b") == two
    provision.destroy(target, "b", progress=QUIET)
