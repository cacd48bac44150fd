"""What runs on nodes: the scripts against this machine's shell, and how their output is judged."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from harness.access.ssh import Access
from harness.core.errors import ResourceError
from harness.deploy import logs, remote
from harness.deploy.bundle import Bundle, Entry
from harness.deploy.engine import Image
from harness.deploy.images import Archive
from harness.topology.model import Service

pytestmark = pytest.mark.usefixtures("fake_ssh")


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A node's directories, below a temporary one."""
    monkeypatch.setattr(remote, "ROOT", str(tmp_path / "opt"))
    return tmp_path / "opt"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The node's Docker command: its body decides."""
    folder = tmp_path / "node-bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder / "docker"


def behave(docker: Path, body: str) -> None:
    """Make the node's Docker do this."""
    docker.write_text(f'#!/bin/sh\necho "$*" >> {docker}.log\n{body}\n')
    docker.chmod(0o755)


class Kept(Archive):
    """Archives that are there, not compressed."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.folder = directory

    def path(self, image: Image) -> Path:
        return self.folder / f"{image.id.removeprefix('sha256:')}.tar"


def bundle(*entries: Entry, health: str = "", digest: str = "d1", image: Image | None = None) -> Bundle:
    """A bundle of service ``web`` for the node ``runner``."""
    service = Service("web", ("runner",), Path("docker-compose.yml"), (80,), {}, (), health)
    return Bundle(service, "runner", entries, {"web": image} if image else {}, 1, digest)


def test_install_puts_files_in_place_with_their_modes(access: Access, node: Path) -> None:
    """Nothing half-unpacked stays beside them."""
    made = bundle(Entry(".env", 0o600, b"A=1\n"), Entry("conf/a b.conf", 0o644, b"x"))
    remote.install(access, made)
    assert (node / "web" / ".env").read_bytes() == b"A=1\n"
    assert stat.S_IMODE((node / "web" / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE((node / "web").stat().st_mode) == 0o700
    assert (node / "web" / "conf" / "a b.conf").read_bytes() == b"x"
    assert [path.name for path in node.iterdir()] == ["web"]


def test_install_removes_its_own_old_files_and_no_others(access: Access, node: Path) -> None:
    """What containers keep beside the compose file stays."""
    remote.install(access, bundle(Entry("old.conf", 0o644, b"x"), Entry("kept.conf", 0o644, b"1")))
    (node / "web" / "data").mkdir()
    (node / "web" / "data" / "row").write_text("precious")
    (node / "web" / ".deployed").write_text("d0")
    remote.install(access, bundle(Entry("kept.conf", 0o644, b"2")))
    assert not (node / "web" / "old.conf").exists()
    assert not (node / "web" / ".deployed").exists()
    assert (node / "web" / "kept.conf").read_bytes() == b"2"
    assert (node / "web" / "data" / "row").read_text() == "precious"


def test_deployed_means_same_hash_and_running_containers(access: Access, node: Path, docker: Path) -> None:
    """Either alone is not enough."""
    remote.install(access, bundle())
    behave(docker, "echo 'running|Up 2 minutes|web_1'")
    assert not remote.is_deployed(access, bundle())
    remote.mark_deployed(access, bundle())
    assert remote.is_deployed(access, bundle())
    assert not remote.is_deployed(access, bundle(digest="d2"))
    behave(docker, "echo 'exited|Exited (1) 2 minutes ago|web_1'")
    assert not remote.is_deployed(access, bundle())
    behave(docker, "true")
    assert not remote.is_deployed(access, bundle())


@pytest.mark.parametrize(("policy", "deployed"), [("unless-stopped", False), ("always", False), ("no", True)])
def test_what_was_stopped_by_hand_is_started_again(
    access: Access, node: Path, docker: Path, policy: str, deployed: bool
) -> None:
    """A container that ended well has ended for good only if nothing would have restarted it."""
    remote.install(access, bundle())
    remote.mark_deployed(access, bundle())
    details = f"exited {policy} web sha256:1"
    behave(docker, f"case $1 in inspect) echo {details} ;; *) echo 'exited|Exited (0) now|web_1' ;; esac")
    assert remote.is_deployed(access, bundle()) == deployed


@pytest.mark.parametrize(
    ("runs", "loaded", "deployed"), [("1", "", True), ("2", "", False), ("2", "1", True), ("2", "3", False)]
)
def test_a_stale_image_is_no_deployment(
    access: Access, node: Path, docker: Path, runs: str, loaded: str, deployed: bool
) -> None:
    """Another image runs under the name, unless the node's engine has that id for what was sent from here."""
    made = bundle(image=Image("nginx:alpine", "sha256:1"))
    remote.install(access, made)
    remote.mark_deployed(access, made)
    if loaded:
        (node / ".images").write_text(f"sha256:{loaded} sha256:2 nginx:alpine\n")
    details = f"running always nginx:alpine sha256:{runs}"
    behave(docker, f"case $1 in inspect) echo {details} ;; *) echo 'running|Up 2 minutes|web_1' ;; esac")
    assert remote.is_deployed(access, made) == deployed


@pytest.mark.parametrize("last", ["1", "2"])
def test_one_stale_container_of_several_is_no_deployment(
    access: Access, node: Path, docker: Path, last: str
) -> None:
    """Whichever of the two that have the image's name is listed last."""
    made = bundle(image=Image("nginx:alpine", "sha256:1"))
    remote.install(access, made)
    remote.mark_deployed(access, made)
    first = "2" if last == "1" else "1"
    rows = "\\n".join(f"running always nginx:alpine sha256:{number}" for number in (first, last))
    behave(docker, f"case $1 in inspect) printf '{rows}\\n' ;; *) echo 'running|Up 2 minutes|web_1' ;; esac")
    assert not remote.is_deployed(access, made)


@pytest.mark.parametrize(
    ("state", "status", "fine", "dead"),
    [
        ("running", "Up 1 second", True, False),
        ("running", "Up 1 second (healthy)", True, False),
        ("running", "Up 1 second (health: starting)", False, False),
        ("running", "Up 1 minute (unhealthy)", False, False),
        ("restarting", "Restarting (1) 2 seconds ago", False, False),
        ("exited", "Exited (0) 2 seconds ago", True, False),
        ("exited", "Exited (1) 2 seconds ago", False, True),
        ("dead", "Dead", False, True),
        ("created", "Created", False, False),
    ],
)
def test_containers_are_judged_by_state_and_health(state: str, status: str, fine: bool, dead: bool) -> None:
    """Only one that nothing starts again is dead."""
    (container,) = remote.parse_containers(f"{state}|{status}|web_1\n")
    assert (container.healthy, container.dead) == (fine, dead)


def test_first_boot_that_failed_is_not_waited_for(
    access: Access, docker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end is there and the marker is not."""
    (tmp_path / "boot-finished").touch()
    script = remote.READY.replace("/var/lib/cloud/instance", str(tmp_path))
    monkeypatch.setattr(remote, "READY", script.replace(remote.BOOTED, str(tmp_path / "no-marker")))
    with pytest.raises(ResourceError, match="'runner': failed at first boot"):
        remote.wait_until_ready(access, "runner", deadline=60)


def test_dead_container_ends_the_wait_with_states_and_logs(access: Access, docker: Path) -> None:
    """Long before the deadline."""
    body = """case $1 in
      ps) case $2 in -aq) echo id1;; *) echo 'exited|Exited (3) 1 second ago|web_1';; esac;;
      logs) echo 'no such table: users';;
    esac"""
    behave(docker, body)
    with pytest.raises(ResourceError) as caught:
        remote.wait_until_healthy(access, bundle(), deadline=60)
    assert "service 'web@runner': is not healthy: web_1: Exited (3)" in str(caught.value)
    assert "no such table: users" in str(caught.value)


def test_unanswered_health_url_is_said_at_the_deadline(access: Access, docker: Path) -> None:
    """With what the client said."""
    behave(docker, "echo 'running|Up 1 second|web_1'")
    with pytest.raises(ResourceError, match=r"(?s)waited 0 s.*http://127.0.0.1:9/: curl: \(7\)"):
        remote.wait_until_healthy(access, bundle(health="http://127.0.0.1:9/"), deadline=0.1)


def test_compose_refusal_is_shown(access: Access, node: Path, docker: Path) -> None:
    """In compose's words."""
    remote.install(access, bundle())
    behave(docker, '[ "$2" = version ] || { echo "services.web.prots is not allowed" >&2; exit 15; }')
    with pytest.raises(ResourceError, match=r"compose did not start it: services\.web\.prots is not allowed"):
        remote.start(access, bundle())


def test_a_node_without_compose_v2_says_what_to_install(access: Access, node: Path, docker: Path) -> None:
    """The old docker-compose is not asked instead."""
    remote.install(access, bundle())
    behave(docker, "echo \"docker: 'compose' is not a docker command\" >&2; exit 1")
    behave(docker.with_name("docker-compose"), "true")
    with pytest.raises(ResourceError, match=r"(?s)no 'docker compose' on this Droplet.*docker-compose-v2"):
        remote.start(access, bundle())
    assert not Path(f"{docker}-compose.log").exists()


def test_compose_is_started_from_both_files_without_building(
    access: Access, node: Path, docker: Path
) -> None:
    """As the project of the service's name."""
    remote.install(access, bundle())
    for name in ("docker-compose.yml", "docker-compose.wavetank.yml"):
        (node / "web" / name).touch()
    behave(docker, f'echo "$COMPOSE_FILE $*" >> {docker}.log')
    remote.start(access, bundle())
    assert Path(f"{docker}.log").read_text().splitlines()[-1] == (
        "docker-compose.yml:docker-compose.wavetank.yml"
        " compose -p web up -d --no-build --force-recreate --remove-orphans"
    )


SHIP = """case $1 in
  images) echo '{id} {reference}';;
  info) echo /;;
  load) cat > {loaded};;
esac"""


def ship(access: Access, docker: Path, tmp_path: Path, image: Image, *, present: str) -> list[str]:
    """Ship one image to a node that has another; returns what its Docker was asked."""
    archive = tmp_path / "images"
    archive.mkdir()
    (archive / "aa.tar.zst").write_bytes(b"bsdijwf")
    (docker.parent / "zstd").write_text("#!/bin/sh\ntr b-z a-y\n")
    (docker.parent / "zstd").chmod(0o755)
    id, reference = present.split(" ")  # noqa: A001 (Docker's word)
    behave(docker, SHIP.format(id=id, reference=reference, loaded=tmp_path / "loaded"))
    remote.ship_images(access, bundle().node, [image], Archive(archive))
    return Path(f"{docker}.log").read_text().splitlines()


def test_missing_image_is_loaded_from_its_archive(access: Access, docker: Path, tmp_path: Path) -> None:
    """Over standard input, packed, for fewer bytes to send."""
    asked = ship(access, docker, tmp_path, Image("web:1", "sha256:aa"), present="sha256:bb web:1")
    assert (tmp_path / "loaded").read_bytes() == b"archive"
    assert "load -q" in asked


def test_image_that_is_there_is_not_sent(access: Access, docker: Path, tmp_path: Path) -> None:
    """The same name and the same id."""
    asked = ship(access, docker, tmp_path, Image("web:1", "sha256:aa"), present="sha256:aa web:1")
    assert not any(call.startswith(("load", "pull")) for call in asked)


# The node's image store names by something else: whatever is loaded is "sha256:there".
OTHER_STORE = """case $1 in
  images) if [ -e {loaded} ]; then echo "$(cat {loaded}) redis:7"; fi;;
  info) echo /;;
  load) cat > /dev/null; echo sha256:there > {loaded}; echo "Loaded image: redis:7";;
  image) case "$*" in *redis:7) cat {loaded};; *) exit 1;; esac;;
esac"""


def test_image_under_another_id_of_the_nodes_own_is_sent_once(
    access: Access, node: Path, docker: Path, tmp_path: Path
) -> None:
    """A containerd image store has other ids than ours; which one it gave is remembered there."""
    (tmp_path / "aa.tar").write_bytes(b"archive")
    (tmp_path / "cc.tar").write_bytes(b"archive")
    behave(docker, OTHER_STORE.format(loaded=tmp_path / "store"))
    log = Path(f"{docker}.log")

    def loads(image_id: str) -> int:
        log.write_text("")
        remote.ship_images(access, "runner", [Image("redis:7", image_id)], Kept(tmp_path))
        return log.read_text().splitlines().count("load -q")

    assert loads("sha256:aa") == 1
    assert loads("sha256:aa") == 0
    assert (node / ".images").read_text() == "sha256:aa sha256:there redis:7\n"
    assert loads("sha256:cc") == 1, "another image has that name here now"
    (tmp_path / "store").write_text("sha256:changed")
    assert loads("sha256:cc") == 1, "another image has that name there now"


# A store in which each name, and each id, is a file that holds an id. An archive is what Docker says of it.
STORE = """cd {store}
case $1 in
  images) for name in *:*; do case $name in sha256:*) ;; *) echo "$(cat $name) $name";; esac; done;;
  info) echo /;;
  load) while IFS= read -r line; do
      echo "$line"
      case $line in Loaded*) name=${{line##* }}; echo {loads} > $name; echo {loads} > {loads};; esac
    done;;
  image) for name; do :; done; cat $name;;
  tag) cp "$2" "$3";;
esac"""


@pytest.mark.parametrize("loads", ["sha256:bb", "sha256:there"])
@pytest.mark.parametrize(
    "says",
    [
        "Loaded image: app:v2",
        "Loaded image ID: {loads}",
        "The image app:v2 already exists, renaming the old one\nLoaded image: app:v1\nLoaded image: app:v2",
    ],
)
def test_a_name_goes_to_the_image_that_was_loaded(
    access: Access, node: Path, docker: Path, tmp_path: Path, loads: str, says: str
) -> None:
    """The node has an older image of that name, and the archive was saved under others."""
    (tmp_path / "bb.tar").write_text(says.format(loads=loads) + "\n")
    store = tmp_path / "store"
    store.mkdir()
    (store / "app:latest").write_text("sha256:aa\n")
    behave(docker, STORE.format(store=store, loads=loads))
    twice = [Image("app:latest", "sha256:bb"), Image("other:1", "sha256:bb")]
    remote.ship_images(access, "runner", twice, Kept(tmp_path))
    assert [(store / each.reference).read_text() for each in twice] == [f"{loads}\n"] * 2
    remote.ship_images(access, "runner", twice, Kept(tmp_path))
    assert Path(f"{docker}.log").read_text().splitlines().count("load -q") == 2, "each is sent once"


def test_an_image_named_by_its_digest_gets_no_other_name(
    access: Access, node: Path, docker: Path, tmp_path: Path
) -> None:
    """Docker refuses to give such a name."""
    (tmp_path / "bb.tar").write_text("Loaded image ID: sha256:bb\n")
    store = tmp_path / "store"
    store.mkdir()
    (store / "app@sha256:cc").write_text("sha256:bb\n")
    behave(docker, STORE.format(store=store, loads="sha256:bb"))
    remote.ship_images(access, "runner", [Image("app@sha256:cc", "sha256:bb")], Kept(tmp_path))
    assert not any(call.startswith("tag") for call in Path(f"{docker}.log").read_text().splitlines())


def test_images_that_were_loaded_are_read_by_name_and_id() -> None:
    """The last line for an image counts, and a line that is none does not."""
    text = "sha256:a sha256:x web:1\nsha256:a sha256:y web:1\nsha256:b sha256:z web:1\nhalf a\n"
    assert remote.parse_loaded(text) == {
        ("web:1", "sha256:a"): "sha256:y", ("web:1", "sha256:b"): "sha256:z",
    }  # fmt: skip


def test_image_unknown_here_is_pulled_there(access: Access, docker: Path, tmp_path: Path) -> None:
    """As the plan would have it."""
    asked = ship(access, docker, tmp_path, Image("redis:7", ""), present="sha256:bb web:1")
    assert asked[-1] == "pull -q redis:7"


def test_node_without_room_is_named_before_sending() -> None:
    """Loading needs twice the archive."""
    line = "/dev/vda 1000 900 100 90% /var/lib/docker"
    with pytest.raises(ResourceError, match=r"'runner': has 0 MiB free; loading web:1 takes 2 MiB"):
        remote.check_disk_space("runner", Image("web:1", "sha256:aa", 1 << 20), line)
    remote.check_disk_space("runner", Image("web:1", "sha256:aa", 50 * 1024), line)


def test_logs_of_every_node_are_collected_and_masked(
    access: Access, docker: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that cannot be asked says why, and the others are there."""
    from deploy_helpers import PASSWORD, deployment

    monkeypatch.setattr(logs, "COLLECT", f"echo 'user doadmin password {PASSWORD}'")
    script = (tmp_path / "bin" / "ssh").read_text()
    broken = script.replace("exec", 'case "$*" in *server-1*) echo gone >&2; exit 255;; esac\nexec')
    (tmp_path / "bin" / "ssh").write_text(broken)
    into = logs.collect_logs(access, deployment(), tmp_path / "logs")
    assert (into / "runner.log").read_text() == "user doadmin password ********\n"
    assert "could not be collected" in (into / "server-1.log").read_text()
    assert stat.S_IMODE(into.stat().st_mode) == 0o700
