"""The nodes' logs after a failure, collected in one directory."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from harness.access.ssh import Access
from harness.core.errors import CommandError, ResourceError, WaitTimeoutError
from harness.core.masking import mask
from harness.core.parallel import in_parallel
from harness.deploy.remote import ROOT
from harness.topology.deployment import Deployment, secrets_of

COLLECT_SECONDS = 60.0
LINES = 500

# Each section may fail without ending the rest; its error is then in the file in its place.
COLLECT = f"""\
part() {{ printf '\\n===== %s\\n' "$*"; "$@" 2>&1; }}
part uptime
part df -Ph
part ip -brief address
part ip route
part systemctl --failed --no-pager
part journalctl --no-pager --boot --lines {LINES}
part tail -n 200 /var/log/cloud-init-output.log
part docker ps -a --no-trunc
part docker images
for name in $(docker ps -a --format '{{{{.Names}}}}'); do
  part docker logs --timestamps --tail {LINES} "$name"
done
part find {ROOT} -name .deployed -print
if docker node ls >/dev/null 2>&1; then
  part docker node ls
  part docker service ls
  for service in $(docker service ls -q); do part docker service ps --no-trunc "$service"; done
fi
true
"""


def collect_logs(access: Access, deployment: Deployment, into: Path) -> Path:
    """Write ``NODE.log`` for every node below ``into`` and return ``into``. Passwords are masked.

    A node that cannot be asked has a file that says why; nothing is raised for it.
    """
    into.mkdir(mode=0o700, parents=True, exist_ok=True)
    secrets = (*access.secrets, *secrets_of(deployment))

    def collect(node: str) -> None:
        (into / f"{node}.log").write_text(mask(_ask(access, node), secrets))

    in_parallel([partial(collect, node) for node in deployment.nodes])
    return into


def _ask(access: Access, node: str) -> str:
    try:
        return access.run(node, COLLECT, deadline=COLLECT_SECONDS)
    except (CommandError, WaitTimeoutError, ResourceError) as error:
        return f"the logs of {node} could not be collected: {error}\n"
