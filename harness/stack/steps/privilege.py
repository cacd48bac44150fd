"""``privileged`` and ``cap_add``. A swarm ignores the first in silence, and takes the second."""

from __future__ import annotations

from collections.abc import Sequence

from harness.stack.service import Fragment, ServiceContext

REMEDY = (
    "either name what it really needs in the topology, as `cap_add: [SYS_ADMIN]` on the swarm's service (and "
    "mount /sys/fs/cgroup in the compose file where the program makes control groups), or take it out of "
    "`swarm:` and name it under plain `services:`, as a compose project on its nodes, where privileged works"
)


def privilege(context: ServiceContext, siblings: Sequence[ServiceContext]) -> Fragment:
    """``cap_add``, with the topology's. Raises ``TopologyError`` for privileged without any."""
    own = context.body.get("cap_add", [])
    added = context.service.cap_add if _is_meant(context, siblings) else ()
    together = list(dict.fromkeys([*own, *added]))
    body = {"cap_add": together} if together else {}
    if not is_privileged(context):
        return Fragment(body=body)
    if not added:
        problem = (
            "a swarm ignores `privileged: true`: the service would start, and then fail at what it is for"
        )
        raise context.error("privileged", problem, REMEDY)
    what = "a swarm ignores `privileged: true`"
    instead = f"it has {', '.join(together)}, by `cap_add` of the swarm's service, and no devices of the node"
    return Fragment(body=body, notes=(context.note("privileged", what, instead),))


def is_privileged(context: ServiceContext) -> bool:
    """Whether the compose file asks for all privileges."""
    return bool(context.body.get("privileged", False))


def _is_meant(context: ServiceContext, siblings: Sequence[ServiceContext]) -> bool:
    """The topology's capabilities are for whoever asks for privileges, and else for the main container."""
    asking = [each.name for each in siblings if is_privileged(each)]
    return context.name in asking if asking else context.main
