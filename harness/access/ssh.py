"""Log in to the nodes of a deployment with this machine's OpenSSH client.

A configuration file is written into the run's directory, and all connections here use it, so the same works
by hand: ``ssh -F .wavetank/runs/RUN/ssh_config NODE``. The bastion is reached at its public address (through
the target's proxy if it has one), every other node at its private address via the bastion.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from harness.core import process as processes
from harness.core import programs
from harness.core.errors import CommandError, EngineError, ResourceError, WaitTimeoutError
from harness.core.masking import mask
from harness.core.names import STRANGER
from harness.core.signals import Interrupted
from harness.core.wait import scaled, wait_for
from harness.run.rundir import RunDir
from harness.target.target import Target, is_for_documentation
from harness.topology.deployment import Deployment, Node

if TYPE_CHECKING:
    from harness.topology.model import Topology
from harness.topology.rendering import headers

CONNECT_SECONDS = 15
WHY_SECONDS = 5
TEMPORARY = Path("/tmp")  # noqa: S108 (mode and owner of what is created there are checked)
NO_ROUTE = "%h is a documentation address (RFC 5737) of an emulator, and no --proxy leads to it"
REMOTE_FAILURE = 255  # ssh's own exit code when the connection, not the command, failed

Input = bytes | IO[bytes] | None

COMMON = """\
Host *
  User {login}
  IdentityFile {key}
  IdentitiesOnly yes
  PreferredAuthentications publickey
  BatchMode yes
  UserKnownHostsFile {known_hosts}
  GlobalKnownHostsFile /dev/null
  StrictHostKeyChecking accept-new
  UpdateHostKeys no
  HashKnownHosts no
  CheckHostIP no
  ControlMaster auto
  ControlPath {control}
  ControlPersist 60s
  ConnectTimeout {timeout}
  ServerAliveInterval 5
  ServerAliveCountMax 6
  Ciphers ^aes128-gcm@openssh.com
  Compression no
  ForwardAgent no
  ForwardX11 no
  LogLevel ERROR
"""


class Access:
    """Runs commands on the nodes of one deployment. Safe to use from many threads.

    ``unreachable`` are addresses, by node, that cannot be reached from here: no packet must be sent to them.
    """

    def __init__(
        self,
        run_dir: RunDir,
        aliases: Mapping[str, str],
        bastion: str,
        secrets: Sequence[str],
        unreachable: Mapping[str, str] | None = None,
    ) -> None:
        self.run_dir = run_dir
        self.nodes = tuple(aliases)
        self.bastion = bastion
        self.secrets = tuple(secrets)
        self._aliases = dict(aliases)
        self._unreachable = dict(unreachable or {})
        self._first = threading.Lock()
        self._bastion_connected = False
        self._live: set[subprocess.Popen[bytes]] = set()
        self._live_lock = threading.Lock()
        self._interrupted = False

    def run(self, node: str, script: str, *, stdin: Input = None, deadline: float = 60.0) -> str:
        """Run a shell script on ``node`` and return what it printed to standard output.

        ``script`` is visible in process lists on both sides: secrets go into ``stdin`` (bytes, or an open
        file that is read to its end). Raises ``CommandError`` when the script fails or ssh cannot connect,
        ``WaitTimeoutError`` when ``deadline`` seconds have passed.
        """
        if node != self.bastion:
            self._connect_bastion(deadline)
        return self._run(self.argv(node, script), node, stdin, deadline)

    def argv(self, node: str, command: str | Sequence[str] = (), *, tty: bool = False) -> list[str]:
        """The local command line for ``command`` on ``node``; a login shell where there is none.

        A string is a script for the remote shell; a sequence is one command, quoted for it.
        """
        self._check(node)
        script = command if isinstance(command, str) else shlex.join(command)
        options = ["-t"] if tty else ["-T"] if script else []
        tail = ["--", script] if script else []
        return ["ssh", "-F", str(self.run_dir.ssh_config), *options, node, *tail]

    def wait_until_reachable(self, node: str, deadline: float = 120.0) -> None:
        """Wait until a login to ``node`` succeeds. Raises ``WaitTimeoutError`` with ssh's last message.

        Raises ``ResourceError`` at once if its host key has changed.
        """

        def probe() -> None:
            try:
                self.run(node, "true", deadline=min(CONNECT_SECONDS + 5, max(deadline, 1)))
            except (CommandError, WaitTimeoutError) as error:
                self.drop(node)
                if isinstance(error, CommandError) and "Host key verification failed" in error.output:
                    raise self._another_key(node) from error
                raise

        tolerate = (CommandError, WaitTimeoutError)
        try:
            wait_for(f"ssh to {node}", probe, deadline=deadline, tolerate=tolerate)
        except WaitTimeoutError as error:
            raise WaitTimeoutError(error.awaited, deadline, self._why(node) or error.last_seen) from error

    def drop(self, node: str) -> None:
        """Close the shared connection to ``node``, as after a power-off; the next use makes a new one."""
        if node == self.bastion:
            self._bastion_connected = False
        if control_path(self.run_dir, node).exists():
            order = ["ssh", "-F", str(self.run_dir.ssh_config), "-O", "exit", node]
            processes.run(
                order, seconds=CONNECT_SECONDS
            )  # any exit code is fine: it may have ended by itself

    def forget(self, node: str) -> None:
        """Forget ``node``'s host key, too: after a rebuild a droplet has the same id but another key."""
        self.drop(node)
        known = self.run_dir.known_hosts
        if known.exists():
            alias = self._aliases[node]
            kept = [line for line in known.read_text().splitlines(True) if line.split(" ", 1)[0] != alias]
            known.write_text("".join(kept))

    def interrupt(self) -> None:
        """End every running command, in any thread; each raises ``Interrupted``, and so do later ones."""
        with self._live_lock:
            self._interrupted = True
            for process in self._live:
                process.terminate()

    def resume(self) -> None:
        """Allow commands again after ``interrupt``."""
        with self._live_lock:
            self._interrupted = False

    def close(self) -> None:
        """Close the shared connections. The configuration stays usable."""
        for node in sorted(self.nodes, key=lambda name: name == self.bastion):
            self.drop(node)

    def mask(self, text: str) -> str:
        """``text`` without the deployment's passwords."""
        return mask(text, self.secrets)

    def _another_key(self, node: str) -> ResourceError:
        problem = "has another host key than before; if its disk was rebuilt, remove"
        return ResourceError("droplet", node, f"{problem} {self.run_dir.known_hosts}")

    def _check(self, node: str) -> None:
        if node not in self.nodes:
            raise ResourceError("node", node, f"does not exist; existing nodes: {', '.join(self.nodes)}")
        for each in (node, self.bastion):
            if each in self._unreachable:
                raise EngineError(f"{each}: {NO_ROUTE.replace('%h', self._unreachable[each])}")

    def _connect_bastion(self, deadline: float) -> None:
        """Connect to the bastion first: otherwise parallel commands would each make their own connection."""
        with self._first:
            if self.bastion and not self._bastion_connected:
                self._run(self.argv(self.bastion, "true"), self.bastion, None, deadline)
                self._bastion_connected = True

    def _run(self, argv: list[str], node: str, stdin: Input, deadline: float) -> str:
        # Standard error is a file: the connection that stays in the background would keep a pipe open.
        with tempfile.TemporaryFile() as errors:
            process = self._start(argv, stdin, errors)
            try:
                output, _ = processes.communicate(
                    process, stdin if isinstance(stdin, bytes) else None, deadline
                )
            except subprocess.TimeoutExpired as error:
                raise WaitTimeoutError(
                    f"a command on {node}: {self.mask(argv[-1])[:200]}",
                    scaled(deadline),
                    self._stderr_text(errors) or "nothing",
                ) from error
            finally:
                self._end(process)
            if process.returncode and self._interrupted:
                raise Interrupted(f"a command on {node}")
            if process.returncode:
                text = self.mask(output.decode(errors="replace")) + self._stderr_text(errors)
                raise CommandError([self.mask(word) for word in argv], process.returncode, text, where=node)
            return output.decode(errors="replace")

    def _start(self, argv: list[str], stdin: Input, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        source = subprocess.PIPE if isinstance(stdin, bytes) else stdin or subprocess.DEVNULL
        with self._live_lock:
            if self._interrupted:
                raise Interrupted(f"a command that was to begin: {self.mask(argv[-1])[:200]}")
            process = processes.spawn(argv, stdin=source, stdout=subprocess.PIPE, stderr=errors)
            self._live.add(process)
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End only the command: the connection that stays in the background is in its process group."""
        process.kill()
        processes.forget(process)
        with self._live_lock:
            self._live.discard(process)

    def _stderr_text(self, errors: IO[bytes]) -> str:
        errors.seek(0)
        return self.mask(errors.read().decode(errors="replace")).strip()

    def _why(self, node: str) -> str:
        """The messages of ssh and its proxy without a shared connection, with which they print none."""
        argv = self.argv(node, "true")
        argv[3:3] = [
            "-o",
            "ControlPath=none",
            "-o",
            "ControlPersist=no",
            "-o",
            f"ConnectTimeout={WHY_SECONDS}",
        ]
        try:
            self._run(argv, node, None, WHY_SECONDS + 5)
        except CommandError as error:
            return error.output
        except WaitTimeoutError as error:
            return str(error)
        return ""


def open_access(run_dir: RunDir, target: Target, topology: Topology, deployment: Deployment) -> Access:
    """Write the run's ssh configuration and return access to its nodes, without connecting.

    Raises ``ResourceError`` if the bastion has no public address, ``EngineError`` if there are no machines.
    """
    target.require_machines()
    programs.require("ssh")
    run_dir.public_key()
    bastion = topology.management.bastion
    nodes = {name: node for name, node in deployment.nodes.items() if _address(node, bastion)}
    if bastion and bastion not in nodes:
        raise ResourceError("droplet", bastion, "is the bastion, but has no public address to log in to")
    aliases = {name: host_key_alias(node, deployment.vpc_id) for name, node in nodes.items()}
    hosts = [_host(node, aliases[name], bastion, target.proxy) for name, node in nodes.items()]
    write_private(run_dir.ssh_config, configuration(run_dir, hosts))
    addresses = {name: _address(node, bastion) or "" for name, node in nodes.items()}
    unreachable = {
        name: each for name, each in addresses.items() if not target.proxy and is_for_documentation(each)
    }
    return Access(run_dir, aliases, bastion, headers.secrets(topology, deployment), unreachable)


def configuration(run_dir: RunDir, hosts: Sequence[str]) -> str:
    """The text of ``ssh_config``."""
    common = COMMON.format(
        login=run_dir.login,
        key=_quoted(run_dir.private_key),
        known_hosts=_quoted(run_dir.known_hosts),
        control=control_path(run_dir),
        timeout=int(scaled(CONNECT_SECONDS)),
    )
    return "\n".join(["# Written by wavetank; changes are lost.", *hosts, common])


def _host(node: Node, alias: str, bastion: str, proxy: str | None) -> str:
    lines = [f"Host {node.name}", f"  HostName {_address(node, bastion)}", f"  HostKeyAlias {alias}"]
    if _is_behind(node, bastion):
        lines.append(f"  ProxyJump {bastion}")
    elif proxy:
        # ssh runs this with a shell and expands %h and %p, so every other % of a path is doubled.
        python, script = (shlex.quote(word).replace("%", "%%") for word in (sys.executable, _connect_file()))
        lines.append(f"  ProxyCommand {python} {script} {shlex.quote(proxy).replace('%', '%%')} %h %p")
        lines.append("  ProxyUseFdpass yes")
    elif is_for_documentation(_address(node, bastion) or ""):
        # An emulator's address without its proxy: a packet would leave this machine.
        lines.append(f"  ProxyCommand echo '{NO_ROUTE}' >&2; exit 1")
    return "\n".join(lines) + "\n"


def _connect_file() -> str:
    return str(Path(__file__).with_name("socks.py"))


def _address(node: Node, bastion: str) -> str | None:
    return node.private_ip if _is_behind(node, bastion) else node.public_ip


def _is_behind(node: Node, bastion: str) -> bool:
    """Whether a node is reached via the bastion: all but the bastion itself and the outsider."""
    return bool(bastion) and node.name not in (bastion, STRANGER)


def host_key_alias(node: Node, vpc_id: str) -> str:
    """The name under which a node's host key is stored.

    Addresses are reused by later droplets, which have other keys. Ids of droplets are not, nor are those of
    VPCs, which distinguish two emulators that both count from one.
    """
    return f"{vpc_id[:8]}-{node.name}-{node.id}"


def control_path(run_dir: RunDir, node: str = "%n") -> Path:
    """The path of a node's control socket; ssh replaces ``%n`` by the node's name.

    The path of a unix socket may have 104 bytes, and ssh needs 17 more while it creates one, so the run's own
    directory may be too long. All runs of a user share one directory; a socket is removed with its
    connection. Raises ``ResourceError`` if the directory is not the user's own.
    """
    run = hashlib.sha256(str(run_dir.path.resolve()).encode()).hexdigest()[:12]
    return _socket_directory() / f"{run}-{node}"


def _socket_directory() -> Path:
    path = TEMPORARY / f"wt-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077 or path.is_symlink():
        raise ResourceError("directory", str(path), "belongs to others or is open to them; remove it")
    return path


def write_private(path: Path, text: str) -> None:
    """Write a file of mode 0600, completely or not at all."""
    fresh = path.with_name(f".{path.name}-{os.getpid()}-{threading.get_ident()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    fresh.replace(path)


def _quoted(path: Path) -> str:
    return '"' + str(path.absolute()).replace("%", "%%") + '"'
