"""The deployer and ssh against real droplets: a bastion, and a node behind it that nobody else may reach."""

from __future__ import annotations

import re
import shlex
import subprocess
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import small_image
import testinfra
from tank import Tank, droplet, tcp, udp

from emulator.cloud.certificates import issue, make_authority
from emulator.docker.images.build import ensure
from emulator.planes.base import Address, AllowRule, DatabaseSpec, MemberPolicy, NetworkPolicy
from harness.access.nodes import inside
from harness.access.ssh import Access, open_access
from harness.core.errors import CommandError, ResourceError, TopologyError, WaitTimeoutError
from harness.core.progress import Progress
from harness.core.wait import NotYet, wait_for
from harness.deploy import DeployResult, collect_logs, deploy, remote
from harness.deploy.engine import Image, local_images
from harness.deploy.images import Archive
from harness.run.rundir import RunDir
from harness.target.target import Target
from harness.topology.deployment import Connection, DatabaseNode, Deployment, Node
from harness.topology.model import Changes, Database, Droplet, Management, Service, Topology

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

MARKER = "#!/bin/sh\nmkdir -p /var/lib/wavetank\ntouch /var/lib/wavetank/booted\n"
PASSWORD = "very-secret-word"
BASTION, BACK = 1, 2

COMPOSE = """\
# The user's own file, as it runs on one host today.
version: "3.8"
services:
  hello:
    build: .
    env_file: .env
    ports: ["8080:8080"]
    volumes: ["./pages:/pages:ro"]
    restart: unless-stopped
    networks: [editor-mini-private]
networks:
  editor-mini-private:
    external: true
"""
DOCKERFILE = f"""\
{small_image.DOCKERFILE}
COPY serve.pl /serve.pl
CMD ["perl", "/serve.pl"]
"""
# The image has perl and no more.
SERVER = r"""
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die;
while (my $client = $server->accept) {
    while (<$client>) { last if /^\r?\n$/ }
    open(my $file, "<", "/pages/index") or die;
    my $body = "$ENV{GREETING} " . <$file>;
    print $client "HTTP/1.0 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    close $client;
}
"""


@dataclass
class Site:
    """Two droplets, the run's directory, and an application's directory to change."""

    tank: Tank
    run_dir: RunDir
    target: Target
    deployment: Deployment
    app: Path
    access: Access

    def gates(self, *more: AllowRule) -> NetworkPolicy:
        """Firewalls as a topology's management section says; ``more`` is what ``back`` may send to."""
        bastion, back = (self.tank.nodes[each].private.ip for each in (BASTION, BACK))
        return self.tank.policy(n1=([tcp(22)], [tcp(22, back)]), n2=([tcp(22, bastion)], more))

    def topology(self, greeting: str = "hello from {{ node.name }}", health: str = "/") -> Topology:
        """One service on the node behind the bastion."""
        url = f"http://127.0.0.1:8080{health}"
        service = Service(
            "hello", ("back",), self.app / "docker-compose.yml", (8080,), {"GREETING": greeting}, (), url
        )
        machines = {
            name: Droplet(name, "s-1vcpu-1gb", "ubuntu-24-04-x64", name, True, "")
            for name in ("bastion", "back")
        }
        return Topology(
            "two", Path("two.yaml"), "fra1", None, machines, {}, (), (), (service,),
            Management("bastion", ("self",)), self.app,
        )  # fmt: skip

    def deploy(self, topology: Topology | None = None) -> DeployResult:
        """Run the deployer."""
        given = topology or self.topology()
        return deploy(self.target, given, self.deployment, self.access, progress=Progress(quiet=True))

    def page(self) -> str:
        """What the service answers, asked on its node."""
        return self.access.run("back", "curl -sf http://127.0.0.1:8080/")

    def started(self) -> str:
        """The container's id and when it was started."""
        script = "docker inspect -f '{{.Id}} {{.State.StartedAt}}' $(docker ps -q)"
        return self.access.run("back", script)


def database() -> DatabaseNode:
    """A database that only lends its password."""
    connection = Connection("db", 25060, "doadmin", PASSWORD, "defaultdb", f"postgres://{PASSWORD}@db")
    return DatabaseNode("pg", "id", "pg", "online", connection, connection, "PEM")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two droplets, firewalled as a topology's management section says."""
    ensure(["base", "droplet", "fabric"])
    tank = Tank.new(tmp_path_factory.mktemp("deploy-tank"))
    try:
        run_dir = RunDir(tmp_path_factory.mktemp("deploy-state"), "deploy-test")
        run_dir.create()
        keys = [run_dir.public_key()]
        specs = [droplet(number, user_data=MARKER, keys=keys) for number in (BASTION, BACK)]
        tank.nodes = {spec.id: spec for spec in specs}
        nodes = {
            name: Node(name, spec.id, "active", spec.public.ip if spec.public else None, spec.private.ip)
            for name, spec in zip(("bastion", "back"), specs, strict=True)
        }
        deployment = Deployment("deploy-test", "0d0c0b0a", "10.1.0.0/20", nodes, {"pg": database()})
        target = Target("local", "https://127.0.0.1:1", "token", proxy=tank.plane.info().proxy)
        app = tmp_path_factory.mktemp("app")
        (app / "pages").mkdir()
        made = Site(tank, run_dir, target, deployment, app, _access(run_dir, target, deployment))
        policy = made.gates()
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda spec: tank.plane.create_droplet(spec, policy), specs))
        yield made
        made.access.close()
    finally:
        tank.destroy()


def _access(run_dir: RunDir, target: Target, deployment: Deployment) -> Access:
    bare = Topology(
        "two", Path("two.yaml"), "fra1", None, {}, {}, (), (), (), Management("bastion", ("self",)), Path()
    )
    return open_access(run_dir, target, bare, deployment)


@pytest.fixture(autouse=True)
def app(site: Site) -> Path:
    """The application as it was."""
    for name, text in (("docker-compose.yml", COMPOSE), ("Dockerfile", DOCKERFILE), ("serve.pl", SERVER)):
        (site.app / name).write_text(text)
    (site.app / "pages" / "index").write_text("page one\n")
    return site.app


def test_deploys_an_unchanged_compose_file_and_changes_nothing_twice(site: Site) -> None:
    """Built here, shipped through the bastion, answering with what .env and the mount say."""
    site.deploy()
    assert site.page() == "hello from back page one\n"
    before = site.started()
    again = site.deploy()
    assert (again.changed, again.services) == ((), ("hello@back",))
    assert site.started() == before


def test_what_lies_on_the_node_is_private_and_without_networks(site: Site) -> None:
    """The rest of the user's file is as it was, comments too."""
    site.deploy()
    text = site.access.run("back", "cat /opt/wavetank/hello/docker-compose.yml")
    assert "networks" not in text
    assert text.startswith("# The user's own file")
    modes = site.access.run("back", "cd /opt/wavetank; stat -c '%a %n' hello hello/.env").split()
    assert modes == ["700", "hello", "600", "hello/.env"]


def test_changed_environment_and_changed_mount_arrive(site: Site) -> None:
    """Neither needs a new image."""
    site.deploy()
    (site.app / "pages" / "index").write_text("page two\n")
    result = site.deploy(site.topology(greeting="good day from"))
    assert result.changed == ("hello@back",)
    assert site.page() == "good day from page two\n"


def test_stopped_container_is_started_again(site: Site) -> None:
    """The same bundle that does not run is not deployed."""
    site.deploy()
    site.access.run("back", "docker rm -f $(docker ps -q)")
    assert site.deploy().changed == ("hello@back",)
    assert site.page() == "hello from back page one\n"


def test_service_that_ends_shows_its_state_and_its_last_words(site: Site) -> None:
    """Not after a deadline, but as soon as it is known."""
    (site.app / "docker-compose.yml").write_text(COMPOSE.replace("restart: unless-stopped", 'restart: "no"'))
    (site.app / "serve.pl").write_text("die qq(no such table: users\\n);")
    with pytest.raises(ResourceError) as caught:
        site.deploy()
    assert "service 'hello@back': is not healthy" in str(caught.value)
    assert "no such table: users" in str(caught.value)


def test_a_health_check_that_fails_shows_what_it_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """No log has that."""
    given = site.topology()
    monkeypatch.setitem(remote.wait_until_healthy.__kwdefaults__, "deadline", 5.0)
    check = "echo nobody answers at db >&2; exit 1"
    text = COMPOSE.replace(
        "build: .", f'build: .\n    healthcheck: {{test: ["CMD-SHELL", "{check}"], interval: 1s}}'
    )
    (site.app / "docker-compose.yml").write_text(text)
    with pytest.raises(ResourceError, match="is not healthy") as caught:
        site.deploy(replace(given, services=(replace(given.services[0], health=""),)))
    assert re.search(r'health check of /\S+, exit code 1: "nobody answers at db\\n"', str(caught.value))


def test_what_the_topology_adds_runs_beside_the_application_until_it_is_taken_out(site: Site) -> None:
    """Built, shipped and waited for like the rest, and removed without being named."""
    side = {
        "build": ".",
        "ports": ["8081:8080"],
        "environment": {"GREETING": "beside {{ node.name }}"},
        "volumes": ["./pages:/pages:ro"],
    }
    plain = site.topology()
    hello = plain.services[0]
    site.deploy(replace(plain, services=(replace(hello, changes=Changes(add={"side": side})),)))
    assert site.page() == "hello from back page one\n"
    assert site.access.run("back", "curl -sf http://127.0.0.1:8081/") == "beside back page one\n"
    site.deploy(plain)
    assert site.access.run("back", "docker ps -a --format '{{.Names}}'") == "hello-hello-1\n"


def test_a_configuration_of_the_application_has_a_droplets_new_address(site: Site) -> None:
    """In a copy: the application's own file stays, and is not what is deployed."""
    own = site.app / "pages" / "index"
    own.write_text("upstream a { server app:80 max_fails=1; }\n")
    plain = site.topology()
    changes = Changes(upstreams={"pages/index": {"app": ("bastion",)}})
    topology = replace(plain, services=(replace(plain.services[0], changes=changes),))
    bastion = site.deployment.nodes["bastion"]
    for address in (bastion.private_ip, "10.1.0.99"):
        nodes = {**site.deployment.nodes, "bastion": replace(bastion, private_ip=address)}
        moved = replace(site.deployment, nodes=nodes)
        done = deploy(site.target, topology, moved, site.access, progress=Progress(quiet=True))
        assert done.changed == ("hello@back",)
        assert site.page() == f"hello from back upstream a {{ server {address}:80 max_fails=1; }}\n"
    assert own.read_text() == "upstream a { server app:80 max_fails=1; }\n"


# What Valkey answers to a client that knows no TLS.
ASKING = r"""
use IO::Socket::INET;
$SIG{TERM} = sub { exit 0 };
my $server = IO::Socket::INET->new(LocalPort => 8080, Listen => 9, ReuseAddr => 1) or die;
while (my $client = $server->accept) {
    while (<$client>) { last if /^\r?\n$/ }
    my $valkey = IO::Socket::INET->new("cache:6379") or die "no cache: $@";
    print $valkey "AUTH default secret\r\nPING\r\n";
    my $body = <$valkey> . <$valkey>;
    print $client "HTTP/1.0 200 OK\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    close $client;
}
"""
TUNNEL = "cache-tls-tunnel"
CACHE, CACHE_PORT, HOST = "10.1.0.200", 25061, "cache-do-user-1-0.db.ondigitalocean.com"


@pytest.fixture
def cache(site: Site) -> Iterator[DatabaseNode]:
    """A managed Valkey that trusts the node behind the bastion."""
    ensure(["valkey"])
    authority = make_authority("test")
    hosts = (HOST, f"private-{HOST}")
    pair = issue(authority, hosts)
    spec = DatabaseSpec(
        str(uuid.uuid4()), "cache", "valkey", "8", 1024, "vpc-1", "10.1.0.0/20",
        Address("203.0.113.200", 24, "203.0.113.1"), Address(CACHE, 20, "10.1.0.1"), *hosts, CACHE_PORT,
        "default", "secret", ca=authority.certificate, certificate=pair.certificate, key=pair.key,
    )  # fmt: skip
    back = site.tank.nodes[BACK].private.ip
    trusted = tcp(CACHE_PORT, f"{back}/32", firewall="trusted sources")
    site.tank.databases.append(MemberPolicy(f"database:{spec.id}", True, (trusted,), ()))
    try:
        policy = site.gates(tcp(CACHE_PORT, "10.1.0.0/20"), udp(53))
        site.tank.plane.create_database(spec, policy)
        end = Connection(spec.private_host, CACHE_PORT, "default", "secret", "defaultdb", "rediss://")
        yield DatabaseNode("cache", spec.id, "valkey", "online", end, end, authority.certificate)
    finally:
        site.tank.databases.clear()
        site.tank.plane.destroy_database(spec.id)
        site.tank.plane.apply(site.gates())


def tunnelled(site: Site) -> Topology:
    """The application that asks Valkey, with a tunnel to it."""
    (site.app / "serve.pl").write_text(ASKING)
    plain = site.topology()
    hello = replace(plain.services[0], changes=Changes(tls_tunnel={"cache": 6379}))
    database = Database("cache", "valkey", "8", "db-s-1vcpu-1gb", 1, ("back",))
    return replace(plain, services=(hello,), databases={"cache": database})


def through_the_tunnel(site: Site, port: int) -> str:
    """What a client without TLS gets of the tunnel's container, asked from its node."""
    address = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    script = f"""\
address=$(docker inspect -f '{address}' hello-cache-tls-tunnel-1)
exec 3<>/dev/tcp/$address/{port} && echo connected || exit
printf 'PING\\r\\nQUIT\\r\\n' >&3 && timeout 60 cat <&3"""
    return site.access.run("back", f"bash -c {shlex.quote(script)} || true", deadline=90)


def test_an_application_without_tls_reaches_its_database_through_a_tunnel(
    site: Site, cache: DatabaseNode
) -> None:
    """By the database's name; a server with another name gets nothing of it."""
    topology = tunnelled(site)
    deployment = replace(site.deployment, databases={"cache": cache})
    deploy(site.target, topology, deployment, site.access, progress=Progress(quiet=True))
    assert site.page() == "+OK\r\n+PONG\r\n"
    assert "NOAUTH" in through_the_tunnel(site, 6379)
    commanded = inside("hello", "perl -e 'print 42'", "com.docker.compose.project=hello", [TUNNEL])
    assert site.access.run("back", commanded) == "42", "in the application's container, which has perl"
    elsewhere = f"docker exec --env HOST={CACHE} --env LISTEN=7000"
    site.access.run("back", f"{elsewhere} --detach hello-cache-tls-tunnel-1 tunnel")
    wait_for("another tunnel", lambda: _listens(site, 7000), deadline=60)
    assert through_the_tunnel(site, 7000) == "connected\n", "the certificate is not for its address"
    with pytest.raises(CommandError, match=r"(?i)hostname mismatch"):
        site.access.run("back", f"{elsewhere} hello-cache-tls-tunnel-1 healthy")


def _listens(site: Site, port: int) -> None:
    listening = site.access.run("back", "docker exec hello-cache-tls-tunnel-1 cat /proc/net/tcp")
    if f":{port:04X} 00000000:0000 0A" not in listening:
        raise NotYet(listening)


def test_a_database_with_a_certificate_of_another_authority_gets_nothing(
    site: Site, cache: DatabaseNode
) -> None:
    """The deployment fails, and says why."""
    topology = tunnelled(site)
    stranger = replace(cache, ca_pem=make_authority("test").certificate)
    deployment = replace(site.deployment, databases={"cache": stranger})
    with pytest.raises(ResourceError, match=r"(?s)hello-cache-tls-tunnel-1.*unhealthy.*verify") as caught:
        deploy(site.target, topology, deployment, site.access, progress=Progress(quiet=True))
    assert "health check of /hello-cache-tls-tunnel-1" in str(caught.value)
    assert through_the_tunnel(site, 6379) == "connected\n"


class Counting(Archive):
    """Saved images that know how often one was asked for, which is once for each that is sent."""

    asked = 0

    def path(self, image: Image) -> Path:
        self.asked += 1
        return super().path(image)


@pytest.fixture
def containerd_store(site: Site) -> Iterator[str]:
    """A node whose engine keeps its images in containerd's store, as new engines do."""
    features = """sed -i 's/^{/{"features": {"containerd-snapshotter": true},/' /etc/docker/daemon.json"""
    restart = "systemctl restart docker && docker info --format '{{.Driver}}'"
    site.access.run("bastion", "cp /etc/docker/daemon.json /root/daemon.json")
    try:
        assert site.access.run("bastion", f"{features} && {restart}") == "overlayfs\n"
        yield "bastion"
    finally:
        site.access.run("bastion", f"cp /root/daemon.json /etc/docker/daemon.json && {restart}")


def test_an_engine_with_another_image_store_is_sent_an_image_once(
    site: Site, containerd_store: str, tmp_path: Path
) -> None:
    """It gives the image an id of its own, which is known there as the one that was sent."""
    small_image.build(site.tank.engine)
    image = local_images([small_image.NAME])[small_image.NAME]
    archive = Counting(tmp_path)
    remote.ship_images(site.access, containerd_store, [image], archive)
    remote.ship_images(site.access, containerd_store, [image], archive)
    assert archive.asked == 1
    loaded = remote.parse_loaded(site.access.run(containerd_store, remote.LOADED.format(root=remote.ROOT)))
    runs = site.access.run(
        containerd_store,
        f"docker run --detach --name sleeper {image.reference} sleep 60 >/dev/null"
        " && docker inspect --format '{{.Image}}' sleeper && docker rm --force sleeper >/dev/null",
    ).strip()
    assert runs == loaded[image.reference, image.id] != image.id
    changed = f"docker commit $(docker create {image.reference} true) {image.reference}"
    site.access.run(containerd_store, changed)
    remote.ship_images(site.access, containerd_store, [image], archive)
    assert archive.asked == 2


def test_failing_build_shows_its_step(site: Site) -> None:
    """Before anything is shipped."""
    (site.app / "Dockerfile").write_text("FROM wavetank/base:latest\nRUN echo compiling && false\n")
    with pytest.raises(ResourceError, match=r"(?s)image 'hello'.*RUN echo compiling && false"):
        site.deploy()


def test_compose_file_that_compose_refuses_is_shown_in_its_words(site: Site) -> None:
    """Compose is the judge, before anything is sent."""
    (site.app / "docker-compose.yml").write_text(COMPOSE.replace("ports:", "prots:"))
    with pytest.raises(TopologyError, match=r"prots is not allowed"):
        site.deploy()


def test_what_a_node_refuses_is_shown_in_its_words(site: Site) -> None:
    """A device that only the node can lack."""
    device = 'devices: ["/dev/prots:/dev/prots"]\n    ports:'
    (site.app / "docker-compose.yml").write_text(COMPOSE.replace("ports:", device))
    with pytest.raises(ResourceError, match=r"(?s)compose did not start it.*prots"):
        site.deploy()


def test_image_that_nobody_has_is_named(site: Site) -> None:
    """Neither this machine nor the node, which may not go out."""
    text = COMPOSE.replace("build: .", "image: registry.invalid/nobody/has:1")
    (site.app / "docker-compose.yml").write_text(text)
    with pytest.raises(ResourceError, match=r"registry\.invalid/nobody/has:1.*is not on this machine"):
        site.deploy()


def test_logs_are_collected_from_every_node_without_passwords(site: Site, tmp_path: Path) -> None:
    """Journal, containers and addresses."""
    site.deploy(site.topology(greeting=PASSWORD))
    site.access.run("back", f"logger 'connected with {PASSWORD}'")
    into = collect_logs(site.access, site.deployment, tmp_path / "logs")
    text = (into / "back.log").read_text()
    assert "===== docker ps" in text
    assert site.deployment.nodes["back"].private_ip in text
    assert "connected with ********" in text
    assert PASSWORD not in text
    assert "===== journalctl" in (into / "bastion.log").read_text()


def test_many_commands_at_once_share_the_bastions_connection(site: Site) -> None:
    """More than sshd lets in at once without a word, were each its own."""
    fresh = _access(site.run_dir, site.target, site.deployment)
    fresh.close()
    with ThreadPoolExecutor(20) as pool:
        names = list(
            pool.map(lambda number: fresh.run(("bastion", "back")[number % 2], "hostname"), range(20))
        )
    assert names == ["node-1\n", "node-2\n"] * 10


def test_large_input_arrives_whole(site: Site) -> None:
    """Through proxy and bastion."""
    data = bytes(range(256)) * 40_000
    assert site.access.run("back", "wc -c", stdin=data, deadline=60).strip() == str(len(data))


def test_configuration_serves_other_tools(site: Site) -> None:
    """ssh by hand, and testinfra."""
    config = str(site.run_dir.ssh_config)
    done = subprocess.run(["ssh", "-F", config, "back", "id -u"], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
    host = testinfra.get_host(f"ssh://back?ssh_config={config}")
    assert host.service("docker").is_running


def test_node_that_is_off_is_explained_and_found_again(site: Site) -> None:
    """The standing connection of before is not what is asked."""
    site.access.run("back", "true")
    spec = site.tank.nodes[BACK]
    policy = site.gates()
    site.tank.plane.power_off(BACK)
    try:
        with pytest.raises(WaitTimeoutError, match="ssh to back"):
            site.access.wait_until_reachable("back", deadline=1)
    finally:
        site.tank.plane.power_on(spec, policy)
    site.access.wait_until_reachable("back", deadline=60)
    assert site.access.run("back", "hostname") == "node-2\n"


def test_rebuilt_node_is_refused_until_its_key_is_forgotten(site: Site) -> None:
    """Its id stays, its key does not; nobody else's key is forgotten with it."""
    site.access.run("back", "rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh")
    site.access.drop("back")
    with pytest.raises(ResourceError, match="has another host key than before"):
        site.access.wait_until_reachable("back", deadline=60)
    site.access.forget("back")
    site.access.wait_until_reachable("back", deadline=60)


def test_droplet_with_another_id_is_another_host(site: Site) -> None:
    """A new droplet at an address that was used before is no surprise."""
    nodes = {**site.deployment.nodes, "back": replace(site.deployment.nodes["back"], id=99)}
    other = _access(site.run_dir, site.target, replace(site.deployment, nodes=nodes))
    other.close()
    try:
        assert other.run("back", "hostname") == "node-2\n"
    finally:
        other.close()
        _access(site.run_dir, site.target, site.deployment)
