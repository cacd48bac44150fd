"""Which container of a service a command runs in."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from harness.access.nodes import inside

# `docker ps` lists the newest container first; what a service waits for is older than it.
DOCKER = """\
#!/bin/sh
if [ "$1" = exec ]; then shift; echo "$*"; else
echo "$*" >&2
printf '%s\\n' 'c3 a.valkey' 'c2 web' 'c1 aXvalkey' 'c0 valkey-tls-tunnel'
fi
"""


@pytest.mark.parametrize(
    ("beside", "container"),
    [((), "c0"), (("valkey-tls-tunnel",), "c1"), (("valkey-tls-tunnel", "a.valkey"), "c1")],
)
def test_what_a_topology_adds_is_not_meant(tmp_path: Path, beside: tuple[str, ...], container: str) -> None:
    """The oldest of the application's own containers is."""
    (tmp_path / "docker").write_text(DOCKER)
    (tmp_path / "docker").chmod(0o755)
    script = inside("web", "nginx -T", "com.docker.compose.project=web", beside)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env=environment, timeout=60
    )
    assert done.stdout == f"{container} sh -c nginx -T\n"
    assert "-f label=com.docker.compose.project=web" in done.stderr


def test_a_service_without_a_container_is_named(tmp_path: Path) -> None:
    """Where nothing of it is left but what was added."""
    (tmp_path / "docker").write_text("#!/bin/sh\necho 'c0 side'\n")
    (tmp_path / "docker").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", inside("web", "true", "label", ["side"])],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "no container of web runs here\n")
