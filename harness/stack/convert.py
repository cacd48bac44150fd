"""The flow: a context for each service of each compose file, a fragment from each, one stack from all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from harness.core.errors import TopologyError
from harness.core.parallel import in_parallel
from harness.stack import write
from harness.stack.keys import is_known
from harness.stack.model import Source, Stack
from harness.stack.prove import check_places, check_values, ordinary_words, weak
from harness.stack.service import Fragment, ServiceContext, join
from harness.stack.services import file_notes, read_source, service_contexts
from harness.stack.steps.configs_and_secrets import configs_and_secrets
from harness.stack.steps.deployment import deployment
from harness.stack.steps.mounts import mounts
from harness.stack.steps.network import check_names, network
from harness.stack.steps.passed_through import passed_through
from harness.stack.steps.ports import ports
from harness.stack.steps.privilege import privilege
from harness.stack.steps.program import program
from harness.stack.steps.unsupported import unsupported
from harness.topology.model import Overlay, Topology
from harness.topology.rendering.projects import READERS

VERSION = "3.12"  # of Engine 25 and later: the first whose health checks have a start_interval


def convert(topology: Topology, sources: Sequence[Source], *, ipvs: bool) -> Stack:
    """The stack of ``topology.swarm``. ``ipvs``: whether the members' kernels support virtual addresses.

    Raises ``TopologyError`` for what a service asks for and a swarm does not have.
    """
    if topology.swarm is None:
        remedy = "add a `swarm:` section, or take a topology that has one, as swarm"
        raise TopologyError("there is no swarm", file=topology.file, field="swarm", remedy=remedy)
    contexts: list[ServiceContext] = []
    fragments: list[Fragment] = []
    whole: list[Fragment] = []
    files = in_parallel([partial(read_source, each, topology.app) for each in sources], workers=READERS)
    for source, file in zip(sources, files, strict=True):
        siblings = service_contexts(topology, source, file, ipvs=ipvs)
        made = [_fragment(context, siblings) for context in siblings]
        contexts += siblings
        fragments += made
        whole += [Fragment(notes=tuple(file_notes(source, file)), hidden=file.passwords), *made]
    check_names(contexts, fragments)
    return _stack(topology.swarm.overlay, contexts, fragments, join(whole))


def _fragment(context: ServiceContext, siblings: Sequence[ServiceContext]) -> Fragment:
    """What one service adds to the stack. Raises ``TopologyError``."""
    for key in context.body:
        if not is_known(key):
            raise context.error(key, "it is not known what a stack has instead", "take it out")
    reference, image = _image(context)
    fragment = join(
        [
            Fragment(body={"image": image}),
            passed_through(context),
            program(context),
            network(context, siblings),
            ports(context),
            mounts(context),
            configs_and_secrets(context),
            privilege(context, siblings),
            deployment(context, reference),
            unsupported(context),
        ]
    )
    check_places(context, fragment.body)
    return fragment


def _image(context: ServiceContext) -> tuple[str, str]:
    """The image's readable name, and what the stack calls it: its id, or its name where it has none here."""
    image = context.source.images.get(context.name)
    reference = image.reference if image else str(context.body.get("image", ""))
    if not reference:
        raise context.error("image", "it is not known which image it runs", "name one, or say `build: .`")
    return reference, (image.id if image else "") or reference


def _stack(
    overlay: Overlay, contexts: Sequence[ServiceContext], fragments: Sequence[Fragment], whole: Fragment
) -> Stack:
    words = ordinary_words(contexts)
    for context, fragment in zip(contexts, fragments, strict=True):
        check_values(context, fragment.body, whole.hidden, words)
    document = write.escaped(_document(overlay, contexts, fragments, whole))
    return Stack(
        text=write.text(document),
        document=document,
        configs=_with_content(whole.configs),
        secrets=_with_content(whole.secrets),
        notes=(*whole.notes, *weak(whole.hidden, words)),
    )


def _document(
    overlay: Overlay, contexts: Sequence[ServiceContext], fragments: Sequence[Fragment], whole: Fragment
) -> dict[str, Any]:
    document: dict[str, Any] = {
        "version": VERSION,
        "services": {
            context.title: dict(fragment.body) for context, fragment in zip(contexts, fragments, strict=True)
        },
        "networks": {"default": {"external": True, "name": overlay.name}},
    }
    if whole.volumes:
        document["volumes"] = dict(whole.volumes)
    for kind, objects in (("configs", whole.configs), ("secrets", whole.secrets)):
        if objects:
            document[kind] = {name: {"external": True} for name in sorted(objects)}
    return document


def _with_content(objects: Mapping[str, bytes | None]) -> dict[str, bytes]:
    return {name: content for name, content in sorted(objects.items()) if content is not None}
