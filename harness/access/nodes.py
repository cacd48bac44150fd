"""Manual access to the nodes of a deployment: a shell, one command on many nodes, container logs."""

from __future__ import annotations

import shlex
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.access.ssh import REMOTE_FAILURE
from harness.core import process
from harness.core.errors import CommandError, ResourceError, UsageError
from harness.core.parallel import Pool
from harness.core.progress import Progress
from harness.deploy import collect_logs
from harness.run.session import Session, open_session
from harness.run.settings import Choice
from harness.swarm.reach import running
from harness.topology.rendering.changes import added_names

ID_AND_SERVICE = '{{.ID}} {{.Label "com.docker.compose.service"}}'


@dataclass(frozen=True)
class Selection:
    """The selected nodes, the command, and the service in whose container it runs ("": on the node)."""

    node: str
    role: str
    everywhere: bool
    service: str
    command: tuple[str, ...]

    @classmethod
    def parse(
        cls, words: Sequence[str], *, role: str | None, everywhere: bool, service: str | None
    ) -> Selection:
        """``NODE COMMAND...``, or ``COMMAND...`` if an option selects the nodes."""
        if sum((bool(role), everywhere, bool(service))) > 1:
            raise UsageError("--role, --all and --service exclude one another")
        named = not (role or everywhere or service)
        if named and len(words) < 2:
            raise UsageError(
                "give a node and a command: wavetank exec NODE -- COMMAND, or use --role, --all or --service"
            )
        node, command = (words[0], words[1:]) if named else ("", words)
        return cls(node, role or "", everywhere, service or "", tuple(command))


@dataclass(frozen=True)
class Result:
    """The result on one node; ``exit`` is the command's exit code."""

    node: str
    exit: int
    output: str


@dataclass(frozen=True)
class Nodes(Session):
    """A session for manual work on the nodes."""

    def interactive(self, node: str, command: Sequence[str]) -> int:
        """Give the terminal to ssh; returns the command's exit code, or 255 when ssh failed."""
        self._require_node(node)
        argv = self.access.argv(node, shell_text(command), tty=not command and sys.stdin.isatty())
        return subprocess.run(argv, check=False).returncode

    def run_everywhere(self, chosen: Selection, *, deadline: float) -> list[Result]:
        """Run the command on every selected node at once. ``CommandError``: ssh could not connect."""
        nodes = self.select(chosen)
        script = shell_text(chosen.command)
        if chosen.service:
            script = inside(chosen.service, script, self._label(chosen.service), self._beside(chosen.service))
        with Pool(max_workers=len(nodes)) as pool:
            return list(pool.map(lambda node: self._run(node, script, deadline), nodes))

    def select(self, chosen: Selection) -> tuple[str, ...]:
        """The names of the selected nodes. Raises ``UsageError`` with the existing names."""
        if chosen.everywhere:
            return tuple(self.deployment.nodes)
        if chosen.service:
            return self._running(chosen.service)
        if chosen.role:
            roles = {each.role for each in self.topology.droplets.values()}
            role = _one_of("role", chosen.role, sorted(roles))
            return tuple(each.name for each in self.topology.droplets.values() if each.role == role)
        return (self._require_node(chosen.node),)

    def logs(self, nodes: Sequence[str], *, follow: bool, tail: int) -> int:
        """Print the containers' logs, each line after its node's name; 0, or 3 if ssh failed."""
        script = container_logs(follow=follow, tail=tail)
        with Pool(max_workers=len(nodes)) as pool:
            try:
                codes = list(pool.map(lambda node: self._stream(self._require_node(node), script), nodes))
            except BaseException:
                process.end_all()  # otherwise they would be read for ever
                raise
        return 3 if REMOTE_FAILURE in codes else 0

    def bundle(self) -> Path:
        """Collect every node's logs into the run's directory, and return the path."""
        return collect_logs(self.access, self.deployment, self.choice.run_dir.logs)

    def _running(self, service: str) -> tuple[str, ...]:
        """The nodes of a service; of a stack's service, those that run one of its tasks now."""
        plain = {each.name: each.nodes for each in self.topology.services}
        if service in plain:
            return plain[service]
        swarm = self.topology.swarm
        stacked = [each.name for each in swarm.services] if swarm else []
        _one_of("service", service, [*plain, *stacked])
        tasks = running(self.access, self.topology, self.deployment, service)
        if not tasks:
            raise ResourceError("service", service, "none of its tasks is running: see `wavetank status`")
        return tuple(dict.fromkeys(task.node for task in tasks))

    def _label(self, service: str) -> str:
        """The label of a service's containers."""
        swarm = self.topology.swarm
        if swarm and service in {each.name for each in swarm.services}:
            return f"com.docker.swarm.service.name={swarm.stack}_{service}"
        return f"com.docker.compose.project={service}"

    def _beside(self, service: str) -> tuple[str, ...]:
        """The compose services that the topology runs beside the application's own."""
        plain = {each.name: each.changes for each in self.topology.services}
        return added_names(plain[service]) if service in plain else ()

    def _run(self, node: str, script: str, deadline: float) -> Result:
        try:
            return Result(node, 0, self.access.run(node, script, deadline=deadline))
        except CommandError as error:
            if error.returncode == REMOTE_FAILURE:
                raise
            return Result(node, error.returncode, error.output)

    def _stream(self, node: str, script: str) -> int:
        argv = self.access.argv(node, script)
        ssh = process.spawn(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        try:
            for line in ssh.stdout or ():
                print_line(f"{node} {line.decode(errors='replace')}")
            return ssh.wait()
        finally:
            ssh.kill()
            process.forget(ssh)

    def _require_node(self, node: str) -> str:
        return _one_of("node", node, list(self.deployment.nodes))


def reach(choice: Choice, progress: Progress) -> Nodes:
    """Find the deployment and prepare access to its nodes. Raises ``UsageError`` if it is not up."""
    return Nodes(**open_session(choice, progress).parts())


def shell_text(command: Sequence[str]) -> str:
    """One word is a script for the node's shell; several words are one command and its arguments."""
    return command[0] if len(command) == 1 else shlex.join(command)


def inside(service: str, script: str, label: str, beside: Sequence[str] = ()) -> str:
    """A script that runs ``script`` in the first container with ``label`` on the node.

    Those of the compose services ``beside`` are not meant.
    """
    patterns = (shlex.quote(f" {name.replace('.', '[.]')}$") for name in beside)
    others = "".join(f" | grep -v {each}" for each in patterns)
    listed = f"docker ps -f label={shlex.quote(label)} --format {shlex.quote(ID_AND_SERVICE)}"
    return (
        f"container=$({listed}{others} | tail -n 1 | cut -d ' ' -f 1)\n"
        f'[ -n "$container" ] || {{ echo "no container of {service} runs here"; exit 1; }}\n'
        f'exec docker exec "$container" sh -c {shlex.quote(script)}'
    )


def container_logs(*, follow: bool, tail: int) -> str:
    """A script that prints the logs of all containers of a node, each line after the container's name."""
    option = "-f" if follow else ""
    return (
        f"docker ps -a --format '{{{{.Names}}}}' | {{ while read -r name; do\n"
        f'  docker logs {option} --tail {tail} "$name" 2>&1 </dev/null | sed -u "s/^/$name | /" &\n'
        f"done; wait; }}"
    )


_printing = threading.Lock()


def print_line(line: str) -> None:
    """Write one whole line to stdout, from any thread."""
    with _printing:
        sys.stdout.write(line if line.endswith("\n") else line + "\n")
        sys.stdout.flush()


def _one_of(kind: str, name: str, known: Sequence[str]) -> str:
    if name not in known:
        raise UsageError(f"no {kind} {name!r}; existing names: {', '.join(known)}")
    return name
