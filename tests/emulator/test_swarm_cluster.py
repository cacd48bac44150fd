"""A swarm of real engines: forming it, healing it, reading it, scaling what runs in it, and its refusals."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import small_image
from swarm_samples import NAMES, NETWORK, STACK, plan, service
from swarm_site import Site, standing
from tank import tcp

from emulator.planes.base import AllowRule
from harness.core.errors import CommandError, ResourceError, UsageError
from harness.core.progress import Progress
from harness.deploy import collect_logs, deploy
from harness.deploy.scale import scale as scale_project
from harness.swarm import join, rotate, snapshot
from harness.swarm.kernel import kernel
from harness.topology.model import Service

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

IMAGE = small_image.NAME

# All but the swarm's 2377/tcp.
CLOSED = (tcp((1, 2376)), tcp((2378, 65535)), AllowRule("udp", (1, 65535), ("0.0.0.0/0",), "test"))
OPEN = (*CLOSED, tcp(2377))

# Everything in a swarm has a version that grows when it is changed.
VERSIONS = """\
docker node inspect --format '{{.ID}} {{.Version.Index}}' $(docker node ls -q)
docker network inspect --format '{{.Id}}' net
docker info --format '{{.Swarm.Cluster.Version.Index}}'
"""


@pytest.fixture(scope="module")
def droplets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Three droplets that no firewall covers."""
    with standing(tmp_path_factory.mktemp("swarm")) as made:
        yield made


@pytest.fixture
def site(droplets: Site) -> Site:
    """The swarm of one manager and two workers, whatever an earlier test has left of it."""
    droplets.tank.rules()
    droplets.form()
    droplets.told = io.StringIO()
    return droplets


@pytest.fixture(scope="module")
def image(droplets: Site) -> str:
    """The id of an image that the workers are given."""
    return small_image.build(droplets.tank.engine)


@pytest.fixture
def stack(site: Site, image: str) -> Iterator[Site]:
    """A swarm whose workers have an image; its services are removed afterwards."""
    archive = b""
    for node in ("one", "two"):
        if not site.access.run(node, f"docker images -q --no-trunc --filter reference={IMAGE}").strip():
            archive = archive or b"".join(site.tank.engine.images.get(IMAGE).save(named=True))
            site.access.run(node, "docker load -q", stdin=archive, deadline=120)
    try:
        yield site
    finally:
        site.access.run("boss", f"docker stack rm {STACK}")
        for node in ("one", "two"):
            site.await_no_tasks(node)


def test_all_droplets_are_ready_members_by_their_private_addresses(site: Site) -> None:
    """One manager, which leads; two workers."""
    members = site.members()
    seen = {name: (each.role, each.status, each.availability, each.address) for name, each in members.items()}
    assert seen == {
        "boss": ("manager", "ready", "active", site.address("boss")),
        "one": ("worker", "ready", "active", site.address("one")),
        "two": ("worker", "ready", "active", site.address("two")),
    }
    assert (members["boss"].leader, members["boss"].reachability) == (True, "reachable")
    assert (members["one"].leader, members["one"].reachability) == (False, "")
    assert snapshot.a_manager(site.access, plan()) == "boss"


def test_second_time_changes_nothing(site: Site) -> None:
    """By its own word and by the versions of everything in the swarm."""
    topology = plan(service("web", "one"))
    site.form(topology)
    before = site.access.run("boss", VERSIONS)
    site.told = io.StringIO()
    assert site.form(topology) == ()
    assert site.access.run("boss", VERSIONS) == before
    assert site.told.getvalue() == ""


def test_labels_follow_the_topology_and_those_of_others_stay(site: Site) -> None:
    """Also where a service is no longer in the topology at all."""
    site.form(plan(service("web", "one", "two"), service("old", "one")))
    site.access.run("boss", f"docker node update --label-add rack=7 {site.members()['one'].id}")
    assert dict(site.members()["one"].labels) == {
        "role": "hand", "web": "true", "old": "true", "rack": "7", "wavetank.labels": "old role web",
    }  # fmt: skip
    changed = site.form(plan(service("web", "two")))
    assert changed == ("one: labels no more old, no more web",)
    labels = {name: dict(each.labels) for name, each in site.members().items()}
    assert labels["one"] == {"role": "hand", "rack": "7", "wavetank.labels": "role"}
    assert labels["two"] == {"role": "hand", "web": "true", "wavetank.labels": "role web"}
    assert labels["boss"]["role"] == "boss"


def test_drained_and_paused_nodes_take_tasks_again(site: Site) -> None:
    """And it is said."""
    rotate.drain(site.access, "boss", "one")
    site.access.run("boss", "docker node update --availability pause two")
    availability = {name: each.availability for name, each in site.members().items()}
    assert availability == {"boss": "active", "one": "drain", "two": "pause"}
    assert site.form() == ("one takes tasks again (was drain)", "two takes tasks again (was pause)")
    assert {each.availability for each in site.members().values()} == {"active"}
    rotate.drain(site.access, "boss", "one")
    rotate.activate(site.access, "boss", "one")
    assert site.members()["one"].availability == "active"


def test_heartbeat_is_updated(site: Site) -> None:
    """In a swarm that is already there."""
    assert site.form(plan(heartbeat=7)) == ("heartbeat is 7 s now (was 2 s)",)
    period = site.swarm_of("boss")["Cluster"]["Spec"]["Dispatcher"]["HeartbeatPeriod"]
    assert period == 7 * 10**9


def test_roles_follow_the_topology(site: Site) -> None:
    """Three managers, then another one alone: there is always one that leads, and it is the same swarm."""
    before = site.swarm_of("boss")["Cluster"]["ID"]
    assert site.form(plan(managers=("boss", "one", "two"))) == (
        "one is a manager now",
        "two is a manager now",
    )
    assert {each.reachability for each in site.members("two").values()} == {"reachable"}
    changed = site.form(plan(managers=("two",)))
    assert sorted(changed) == ["boss is a worker now", "one is a worker now"]
    assert {name: each.role for name, each in site.members("two").items()} == {
        "boss": "worker", "one": "worker", "two": "manager",
    }  # fmt: skip
    assert site.swarm_of("two")["Cluster"]["ID"] == before
    assert snapshot.a_manager(site.access, plan(managers=("boss", "two"))) == "two"


def test_rebuilt_droplet_joins_again_and_its_old_node_goes(site: Site) -> None:
    """Its disk is new, its address is the old one."""
    old = site.members()["two"].id
    site.rebuild("two")
    changed = site.form()
    assert f"removed the stale node {old} (its droplet was rebuilt or left)" in changed
    assert "two joined as worker" in changed
    fresh = site.members()["two"]
    assert fresh.id != old
    assert (fresh.status, fresh.labels["role"]) == ("ready", "hand")


def test_rebuilt_first_manager_joins_the_swarm_that_the_others_have(site: Site) -> None:
    """A second swarm is not made, and the quorum counts no ghosts."""
    three = plan(managers=("boss", "one", "two"))
    site.form(three)
    before = site.swarm_of("one")["Cluster"]["ID"]
    site.rebuild("boss")
    changed = site.form(three)
    assert "boss joined as manager" in changed
    assert site.swarm_of("boss")["Cluster"]["ID"] == before
    assert site.swarm_of("boss")["Managers"] == 3
    assert {each.reachability for each in site.members().values()} == {"reachable"}


def test_member_of_another_swarm_leaves_it_and_joins(site: Site) -> None:
    """Also one that manages that other swarm."""
    site.access.run("two", "docker swarm leave --force")
    site.access.run("two", f"docker swarm init --advertise-addr {site.address('two')} >/dev/null")
    changed = site.form()
    assert [each for each in changed if each.startswith("two ")] == [
        "two left another swarm",
        "two joined as worker",
    ]
    assert site.members()["two"].id == site.swarm_of("two")["NodeID"]


def test_workers_of_a_swarm_that_lost_its_manager_come_over(site: Site) -> None:
    """The only manager left and forgot everything: its workers still think that they are members."""
    site.access.run("boss", "docker swarm leave --force")
    changed = site.form()
    assert changed[0] == "boss made the swarm"
    assert {"one left another swarm", "two left another swarm"} <= set(changed)
    assert {each.status for each in site.members().values()} == {"ready"}


def test_node_that_is_no_droplet_is_removed_when_it_is_down_only(site: Site) -> None:
    """A living member that the topology does not know is somebody's."""
    fewer = plan(droplets=("boss", "one"))
    nodes = {name: node for name, node in site.deployment.nodes.items() if name != "two"}
    deployment = replace(site.deployment, nodes=nodes)
    site.form(fewer, deployment)
    assert f"{site.address('two')} is a member and no droplet of ours" in site.told.getvalue()
    stale = site.members()["two"].id
    site.access.run("two", "docker swarm leave")
    site.await_down("two")
    changed = site.form(fewer, deployment)
    assert changed == (f"removed the stale node {stale} (no droplet has {site.address('two')})",)
    assert set(site.members()) == {"boss", "one"}


def test_network_is_remade_where_nothing_uses_it(site: Site) -> None:
    """With the options that are asked for now."""
    assert site.form(plan(encrypted=True)) == (f"made encrypted network {NETWORK} anew: it is not encrypted",)
    script = f"docker network inspect --format '{{{{json .}}}}' {NETWORK}"
    made = json.loads(site.access.run("boss", script))
    assert (made["Driver"], made["Attachable"], "encrypted" in made["Options"]) == ("overlay", True, True)
    assert site.form(plan(encrypted=True)) == ()


def test_network_in_use_that_differs_is_an_error_that_names_its_user(stack: Site, image: str) -> None:
    """What runs is not taken away for it."""
    stack.serve("web", "--replicas 0", image=image)
    with pytest.raises(ResourceError, match=f"it is not encrypted; .* used by {STACK}_web") as caught:
        stack.form(plan(encrypted=True))
    assert "docker stack rm" in str(caught.value)
    assert stack.form() == ()


def test_kernel_is_as_it_is(site: Site) -> None:
    """Asked on a droplet, which has this machine's kernel; what was tried leaves no trace."""
    found = kernel(site.access, "one")
    assert found.ipvs == Path("/proc/net/ip_vs").exists()
    assert site.access.run("one", "ip xfrm state; ip xfrm policy").strip() == ""
    if not Path("/proc/net/pfkey").exists() and not Path("/proc/net/xfrm_stat").exists():
        assert not found.esp


def test_worker_that_cannot_reach_the_manager_is_told_which_port_to_admit(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And it does not go on trying behind our back."""
    site.access.run("two", "docker swarm leave")
    site.tank.rules(n1=(CLOSED, OPEN))
    monkeypatch.setattr(join, "REACH_SECONDS", 2.0)
    with pytest.raises(ResourceError) as caught:
        site.form()
    said = str(caught.value)
    assert f"{site.address('two')} (two) does not reach" in said
    assert f"at {site.address('boss')} (boss) on 2377/tcp" in said
    assert "admit 2377/tcp from two to boss" in said
    assert "`wavetank explain two boss 2377/tcp`" in said
    assert site.swarm_of("two")["LocalNodeState"] == "inactive"


def test_manager_that_others_cannot_reach_is_told_which_port_to_admit(site: Site) -> None:
    """A manager must be heard, too."""
    site.access.run("two", "docker swarm leave")
    site.tank.rules(n3=(CLOSED, OPEN))
    with pytest.raises(ResourceError) as caught:
        site.form(plan(managers=("boss", "two")))
    assert "admit 2377/tcp from boss to two" in str(caught.value)
    assert site.swarm_of("two")["LocalNodeState"] == "inactive"
    site.tank.rules()
    site.form()
    assert set(site.members()) == set(NAMES)


def test_lost_quorum_is_told_with_what_to_do(site: Site) -> None:
    """How many answer, how many it takes, and both ways out."""
    three = plan(managers=("boss", "one", "two"))
    site.form(three)
    try:
        for node in ("boss", "one"):
            site.access.run(node, "systemctl stop docker.socket docker.service")
        with pytest.raises(ResourceError) as caught:
            snapshot.a_manager(site.access, three, deadline=2)
        said = str(caught.value)
        assert "quorum is lost: 1 of 3 managers answer, and it takes 2" in said
        assert "power the others on" in said
        assert "`docker swarm init --force-new-cluster` on two" in said
    finally:
        for node in ("boss", "one"):
            site.access.run(node, "systemctl start docker.socket docker.service")
    assert snapshot.a_manager(site.access, three, deadline=60) == "boss"


def test_later_manager_answers_for_one_that_is_gone(site: Site) -> None:
    """While two of three are there, so is a leader."""
    three = plan(managers=("boss", "one", "two"))
    site.form(three)
    try:
        site.access.run("boss", "systemctl stop docker.socket docker.service")
        assert snapshot.a_manager(site.access, three, deadline=60) == "one"
    finally:
        site.access.run("boss", "systemctl start docker.socket docker.service")


def test_token_is_nowhere_in_what_is_said_or_kept(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Neither in a command line of ours, nor in progress, nor in an error, nor in collected logs."""
    lines: list[str] = []
    argv = site.access.argv

    def record(*given: Any, **options: Any) -> list[str]:
        lines.extend(found := argv(*given, **options))
        return found

    monkeypatch.setattr(site.access, "argv", record)
    site.access.run("two", "docker swarm leave")
    assert "two joined as worker" in site.form()
    token = join.tokens(site.access, "boss")["worker"]
    assert token.startswith("SWMTKN-")
    with pytest.raises(CommandError) as caught:
        site.access.run("two", "cat; exit 1", stdin=token.encode())
    site.access.run("two", "logger -t test < /dev/stdin", stdin=token.encode())
    collected = collect_logs(site.access, site.deployment, tmp_path)
    logs = (collected / "two.log").read_text()
    assert "SWMTKN-********" in logs
    assert "===== docker node ls" in (collected / "boss.log").read_text()
    for text in (*lines, site.told.getvalue(), str(caught.value), logs):
        assert token not in text


def test_rotated_token_lets_nobody_in_and_members_stay(site: Site) -> None:
    """The new one does."""
    old = join.tokens(site.access, "boss")
    rotate.rotate_tokens(site.access, "boss")
    new = join.tokens(site.access, "boss")
    assert [role for role in old if old[role] != new[role]] == ["manager", "worker"]
    assert {each.status for each in site.members().values()} == {"ready"}
    site.access.run("two", "docker swarm leave")
    with pytest.raises(ResourceError, match="did not join the swarm of boss") as caught:
        join.join(site.access, site.deployment, "boss", "two", old["worker"])
    assert old["worker"] not in str(caught.value)
    join.join(site.access, site.deployment, "boss", "two", new["worker"])


def test_removed_node_is_out_and_may_come_back(stack: Site, image: str) -> None:
    """Its tasks go to others first."""
    stack.serve("web", "--replicas 2", image=image)
    stack.tasks("web", "running", 2)
    rotate.remove(stack.access, plan(), stack.deployment, "two")
    assert set(stack.members()) == {"boss", "one"}
    assert stack.swarm_of("two")["LocalNodeState"] == "inactive"
    assert {each.node for each in stack.tasks("web", "running", 2)} == {"one"}
    assert "two joined as worker" in stack.form()


def test_only_manager_is_not_removed(site: Site) -> None:
    """Nor is one that is no member."""
    with pytest.raises(ResourceError, match="is the only manager"):
        rotate.remove(site.access, plan(), site.deployment, "boss")
    rotate.remove(site.access, plan(), site.deployment, "two")
    with pytest.raises(ResourceError, match="'two': is not a member of the swarm"):
        rotate.remove(site.access, plan(), site.deployment, "two")


def test_services_and_tasks_are_read_as_they_are(stack: Site, image: str) -> None:
    """Names without the stack's, nodes by their droplets, containers that are on them."""
    stack.serve("web", "--replicas 2", image=image)
    stack.serve("sick", "--restart-condition none", image=image, command="echo no such table >&2; exit 3")
    stack.access.run("boss", f"docker service create --detach --replicas 0 --name other {image} true")
    try:
        failed = stack.tasks("sick", "failed", 1)[0]
        running = stack.tasks("web", "running", 2)
        services = {each.name: each for each in snapshot.services(stack.access, "boss", STACK)}
    finally:
        stack.access.run("boss", "docker service rm other")
    assert set(services) == {"web", "sick"}
    assert (services["web"].running, services["web"].desired, services["web"].image) == (2, 2, image)
    assert services["sick"].running == 0
    assert (failed.error, failed.service) == ("task: non-zero exit (3)", "sick")
    assert {each.slot for each in running} == {1, 2}
    for each in running:
        script = f"docker inspect --format '{{{{.Config.Image}}}}' {each.container}"
        assert stack.access.run(each.node, script).strip() == image
    found = snapshot.tasks(stack.access, stack.deployment, "boss", STACK)
    assert {each.service for each in found} == {"web", "sick"}
    assert snapshot.services(stack.access, "boss", "none") == ()
    assert snapshot.tasks(stack.access, stack.deployment, "boss", "none") == ()


def test_scaling_converges_up_and_down(stack: Site, image: str) -> None:
    """It tells how many there were, and where they are."""
    stack.serve("web", "--replicas 1", image=image)
    up = stack.scale(web=4)
    assert [(each.service, each.before, each.replicas) for each in up] == [("web", 1, 4)]
    assert sorted(up[0].nodes) == ["one", "one", "two", "two"]
    (down,) = stack.scale(web=1)
    assert (down.before, down.replicas, len(down.nodes)) == (4, 1, 1)
    assert len(stack.tasks("web", "running", 1)) == 1
    assert stack.scale(web=0)[0].nodes == ()


def test_scaling_what_is_not_there_or_cannot_be_is_refused_before_anything_changes(
    stack: Site, image: str
) -> None:
    """With the name that was meant, and the number that there is room for."""
    with pytest.raises(UsageError, match="nothing runs under stack: `wavetank up` deploys it"):
        stack.scale(web=1)
    stack.serve("web", "--replicas 0", image=image)
    stack.serve("door", "--replicas 1", "--publish mode=host,target=80,published=80", image=image)
    stack.serve("lost", "--replicas 0", "--constraint node.labels.nowhere==true", image=image)
    with pytest.raises(UsageError, match="no service 'wbe' in stack: did you mean 'web'"):
        stack.scale(web=2, wbe=2)
    with pytest.raises(UsageError, match="web=-1: the number of replicas is 0 or more"):
        stack.scale(web=-1)
    with pytest.raises(
        UsageError, match=r"door=3: at most 2 can run, .* publishes 80/tcp .* one, two may run it"
    ):
        stack.scale(web=2, door=3)
    with pytest.raises(UsageError, match=r"lost=1: no node may run it .*node.labels.nowhere==true"):
        stack.scale(lost=1)
    desired = {each.name: each.desired for each in snapshot.services(stack.access, "boss", STACK)}
    assert desired == {"door": 1, "lost": 0, "web": 0}
    assert len(set(stack.scale(door=2)[0].nodes)) == 2


@pytest.mark.usefixtures("image")
def test_plain_project_is_scaled_over_its_droplets(site: Site, tmp_path: Path) -> None:
    """Without a swarm it is compose that does it, and what is scaled stays deployed."""
    compose = tmp_path / "docker-compose.yml"
    compose.write_text(
        f"services: {{idle: {{image: '{IMAGE}', command: sleep 1000, stop_grace_period: 1s}}}}\n"
    )
    idle = Service("idle", ("one", "two"), compose, (), {}, (), "")
    topology = replace(plan(), swarm=None, services=(idle,))
    quiet = Progress(quiet=True)

    def running() -> list[int]:
        script = "docker ps -q --filter label=com.docker.compose.project=idle | wc -l"
        return [int(site.access.run(node, script)) for node in idle.nodes]

    try:
        deploy(site.target, topology, site.deployment, site.access, progress=quiet)
        (up,) = scale_project(site.access, topology, site.deployment, {"idle": 5}, progress=quiet)
        assert (up.before, up.nodes) == (2, ("one", "one", "one", "two", "two"))
        assert running() == [3, 2]
        assert deploy(site.target, topology, site.deployment, site.access, progress=quiet).changed == ()
        scale_project(site.access, topology, site.deployment, {"idle": 1}, progress=quiet)
        assert running() == [1, 0]
        again = deploy(site.target, topology, site.deployment, site.access, progress=quiet)
        assert (again.changed, running()) == (("idle@two",), [1, 1])
    finally:
        for node in idle.nodes:
            site.access.run(
                node, "docker ps -aq --filter label=com.docker.compose.project=idle | xargs -r docker rm -f"
            )
