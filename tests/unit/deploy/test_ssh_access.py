"""Access to nodes: the configuration written for ssh, and what happens to what it says."""

from __future__ import annotations

import stat
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from deploy_helpers import PASSWORD, FakeSsh, deployment, target, topology

from harness.access import ssh
from harness.access.ssh import Access, open_access
from harness.core.errors import CommandError, EngineError, ResourceError, WaitTimeoutError
from harness.core.signals import Interrupted
from harness.core.wait import NotYet, wait_for
from harness.run.rundir import RunDir


def section(run_dir: RunDir, host: str) -> dict[str, str]:
    """The options under ``Host host``."""
    blocks = run_dir.ssh_config.read_text().split("Host ")
    lines = next(block for block in blocks if block.startswith(f"{host}\n")).splitlines()[1:]
    return dict(line.strip().split(" ", 1) for line in lines if line.strip())


def test_bastion_is_reached_at_its_public_address_through_the_proxy(run_dir: RunDir) -> None:
    """The proxy hands the connection over instead of copying it."""
    open_access(run_dir, target("socks5://127.0.0.1:1080"), topology(), deployment())
    client = section(run_dir, "client")
    assert client["HostName"] == "203.0.113.11"
    assert client["ProxyCommand"].endswith("socks.py socks5://127.0.0.1:1080 %h %p")
    assert client["ProxyUseFdpass"] == "yes"


def test_other_nodes_are_reached_at_private_addresses_via_the_bastion(run_dir: RunDir) -> None:
    """Their public addresses are never used."""
    open_access(run_dir, target("socks5://127.0.0.1:1080"), topology(), deployment())
    runner = section(run_dir, "runner")
    assert runner["HostName"] == "10.10.0.3"
    assert runner["ProxyJump"] == "client"
    assert "203.0.113.12" not in run_dir.ssh_config.read_text()


def test_without_a_proxy_the_bastion_is_reached_directly(run_dir: RunDir) -> None:
    """As on the cloud."""
    made = deployment()
    client = replace(made.nodes["client"], public_ip="10.99.0.1")
    open_access(run_dir, target(None), topology(), replace(made, nodes={**made.nodes, "client": client}))
    assert "ProxyCommand" not in section(run_dir, "client")


def test_emulators_address_without_a_proxy_is_never_connected_to(run_dir: RunDir) -> None:
    """Such a packet would leave this machine for nowhere: ssh says what is missing instead."""
    access = open_access(run_dir, target(None), topology(), deployment())
    with pytest.raises(EngineError, match=r"203\.0\.113\.11 is a documentation address .* no --proxy"):
        access.run("client", "true", deadline=20)


def test_without_a_bastion_nodes_with_public_addresses_are_reached_directly(run_dir: RunDir) -> None:
    """A node without one cannot be reached and is left out."""
    access = open_access(run_dir, target(), topology(bastion=""), deployment())
    assert access.nodes == ("client", "runner")
    assert section(run_dir, "runner")["HostName"] == "203.0.113.12"


def test_bastion_without_public_address_is_refused(run_dir: RunDir) -> None:
    """The error names the droplet and its part."""
    with pytest.raises(ResourceError, match="'server-1': is the bastion"):
        open_access(run_dir, target(), topology(bastion="server-1"), deployment())


def test_host_keys_are_remembered_by_droplet_id(run_dir: RunDir) -> None:
    """A new droplet at an old address has another name, so its new key is no surprise."""
    open_access(run_dir, target(), topology(), deployment())
    assert section(run_dir, "runner")["HostKeyAlias"] == "6c1a2b3c-runner-12"


def test_configuration_and_sockets_are_private(run_dir: RunDir, access: Access) -> None:
    """Only their owner may read them."""
    sockets = ssh.control_path(run_dir).parent
    assert stat.S_IMODE(run_dir.ssh_config.stat().st_mode) == 0o600
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700


def test_control_sockets_fit_where_sockets_may_be(run_dir: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """104 bytes on macOS, of which ssh wants 17; and two runs do not share one."""
    monkeypatch.undo()
    path = ssh.control_path(run_dir, "a-droplet-with-quite-a-long-name")
    assert len(str(path)) + 17 < 104
    assert path != ssh.control_path(RunDir(run_dir.state_dir, "run-2"), "a-droplet-with-quite-a-long-name")


def test_socket_directory_open_to_others_is_refused(run_dir: RunDir) -> None:
    """Somebody may have made it before us."""
    ssh.control_path(run_dir).parent.chmod(0o755)
    with pytest.raises(ResourceError, match="belongs to others"):
        ssh.control_path(run_dir)


def test_run_returns_standard_output_only(access: Access) -> None:
    """What goes to standard error is for the failure's text."""
    assert access.run("runner", "echo out; echo err >&2") == "out\n"


def test_run_feeds_bytes_and_files(access: Access, tmp_path: Path) -> None:
    """Both reach the script's standard input whole."""
    data = b"x" * 300_000
    (tmp_path / "data").write_bytes(data)
    assert access.run("runner", "wc -c", stdin=data).strip() == "300000"
    with (tmp_path / "data").open("rb") as file:
        assert access.run("runner", "wc -c", stdin=file).strip() == "300000"


def test_failed_script_says_where_what_and_what_it_printed(access: Access) -> None:
    """The command can be pasted."""
    with pytest.raises(CommandError) as caught:
        access.run("runner", "echo half; echo broken >&2; exit 7")
    error = caught.value
    assert (error.where, error.returncode) == ("runner", 7)
    assert "half" in error.output
    assert "broken" in error.output
    assert "ssh -F" in str(error)


def test_passwords_are_masked_in_errors(access: Access) -> None:
    """Neither the command nor its output shows one."""
    with pytest.raises(CommandError) as caught:
        access.run("runner", f"echo '{PASSWORD}'; exit 1")
    assert PASSWORD not in str(caught.value)
    assert "********" in caught.value.output


def test_deadline_ends_the_command(access: Access) -> None:
    """The error says what was run, and nothing is left running."""
    with pytest.raises(WaitTimeoutError, match="a command on runner: sleep 60"):
        access.run("runner", "sleep 60", deadline=0.2)


def test_unknown_node_is_refused_with_those_there_are(access: Access) -> None:
    """Before anything is run."""
    message = "'nobody': does not exist; existing nodes: client, runner, server-1"
    with pytest.raises(ResourceError, match=message):
        access.run("nobody", "true")


def test_bastion_is_met_once_before_anyone_jumps_over_it(access: Access, fake_ssh: FakeSsh) -> None:
    """Otherwise every first command would make a connection of its own."""
    threads = [threading.Thread(target=access.run, args=(node, "true")) for node in ("runner", "server-1")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hosts = [call.split(" -T ")[1].split()[0] for call in fake_ssh.calls()]
    assert hosts[0] == "client"
    assert sorted(hosts[1:]) == ["runner", "server-1"]


def test_interrupt_ends_what_runs_and_refuses_what_follows(access: Access, tmp_path: Path) -> None:
    """Until it is told to go on; and it is no error that a wait for ssh could take for "not yet"."""
    errors: list[BaseException] = []

    def command() -> None:
        try:
            access.run("client", f"touch {tmp_path}/began; exec sleep 60")
        except Interrupted as error:
            errors.append(error)

    def begun() -> None:
        if not (tmp_path / "began").exists():
            raise NotYet("nothing")

    thread = threading.Thread(target=command)
    thread.start()
    wait_for("the command to begin", begun, deadline=10)
    access.interrupt()
    thread.join()
    assert len(errors) == 1
    with pytest.raises(Interrupted):
        access.run("client", "true")
    access.resume()
    access.run("client", "true")


def test_unreachable_node_is_explained_by_what_ssh_says(
    access: Access, fake_ssh: FakeSsh, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The wait's error carries the reason, not only that time has passed."""
    broken = "#!/bin/sh\necho 'client: port 22: Connection refused' >&2; exit 255\n"
    (tmp_path / "bin" / "ssh").write_text(broken)
    with pytest.raises(
        WaitTimeoutError, match="ssh to client; last observed: client: port 22: Connection refused"
    ):
        access.wait_until_reachable("client", deadline=0.2)


def test_changed_host_key_ends_the_wait_at_once(access: Access, tmp_path: Path) -> None:
    """Waiting would not help; the error says which file remembers the old one."""
    (tmp_path / "bin" / "ssh").write_text("#!/bin/sh\necho 'Host key verification failed.' >&2; exit 255\n")
    with pytest.raises(ResourceError, match=r"'client': has another host key .*known_hosts"):
        access.wait_until_reachable("client", deadline=60)


def test_a_script_and_a_command_are_quoted_differently(access: Access) -> None:
    """A string is for the remote shell, a sequence is one command."""
    assert access.argv("runner", "a; b")[-3:] == ["runner", "--", "a; b"]
    assert access.argv("runner", ["echo", "a; b"])[-1] == "echo 'a; b'"
    assert access.argv("runner", tty=True)[-2:] == ["-t", "runner"]
    assert access.argv("runner")[-1] == "runner"


def test_forgetting_a_node_keeps_other_host_keys(access: Access, run_dir: RunDir) -> None:
    """After a rebuild only that node's key is new."""
    run_dir.known_hosts.write_text("6c1a2b3c-runner-12 key\n6c1a2b3c-client-11 key\n")
    access.forget("runner")
    assert run_dir.known_hosts.read_text() == "6c1a2b3c-client-11 key\n"


def test_closing_ends_only_connections_that_stand(access: Access, run_dir: RunDir, fake_ssh: FakeSsh) -> None:
    """The bastion last, as the others run over it."""
    for node in ("client", "runner"):
        ssh.control_path(run_dir, node).touch()
    access.close()
    assert [call.split()[-1] for call in fake_ssh.calls()] == ["runner", "client"]


def test_private_files_are_written_whole(tmp_path: Path) -> None:
    """Nothing is left beside them."""
    ssh.write_private(tmp_path / "file", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "text"
