"""The flow: each compose file becomes jobs, each job becomes a part, and all parts become one stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from harness.core.errors import TopologyError
from harness.stack import write
from harness.stack.keys import is_known
from harness.stack.model import Source, Stack
from harness.stack.prove import check_places, check_values
from harness.stack.service import Job, Part, join
from harness.stack.services import file_notes, jobs_of, read_source
from harness.stack.steps.configs_and_secrets import declared
from harness.stack.steps.deployment import deployment
from harness.stack.steps.mounts import mounts
from harness.stack.steps.network import check_names, network
from harness.stack.steps.passed_through import kept
from harness.stack.steps.ports import ports
from harness.stack.steps.privilege import privilege
from harness.stack.steps.program import program
from harness.stack.steps.unsupported import left
from harness.topology.model import Overlay, Topology

VERSION = "3.8"


def convert(topology: Topology, sources: Sequence[Source], *, ipvs: bool) -> Stack:
    """The stack of ``topology.swarm``. ``ipvs``: whether the members' kernels can do virtual addresses.

    Raises ``TopologyError`` for what a service asks for and a swarm cannot give.
    """
    if topology.swarm is None:
        remedy = "add a `swarm:` section, or take a topology that has one, as swarm"
        raise TopologyError("there is no swarm", file=topology.file, field="swarm", remedy=remedy)
    jobs: list[Job] = []
    parts: list[Part] = []
    whole: list[Part] = []
    for source in sources:
        file = read_source(source)
        siblings = jobs_of(topology, source, file, ipvs=ipvs)
        made = [_part(job, siblings) for job in siblings]
        jobs += siblings
        parts += made
        whole += [Part(notes=tuple(file_notes(source, file)), hidden=file.passwords), *made]
    check_names(jobs, parts)
    return _stack(topology.swarm.overlay, jobs, parts, join(whole))


def _part(job: Job, siblings: Sequence[Job]) -> Part:
    """All that the stack has of one service. Raises ``TopologyError``."""
    for key in job.body:
        if not is_known(key):
            raise job.error(key, "compose files have no such key", "correct its spelling, or take it out")
    reference, image = _image(job)
    part = join(
        [
            Part(body={"image": image}),
            kept(job),
            program(job),
            network(job, siblings),
            ports(job),
            mounts(job),
            declared(job),
            privilege(job, siblings),
            deployment(job, reference),
            left(job),
        ]
    )
    check_places(job, part.body)
    return part


def _image(job: Job) -> tuple[str, str]:
    """The image's readable name, and what the stack calls it: its id, or its name where it has none here."""
    image = job.source.images.get(job.name)
    reference = image.reference if image else str(job.body.get("image", ""))
    if not reference:
        raise job.error("image", "it is not known which image it runs", "name one, or say `build: .`")
    return reference, (image.id if image else "") or reference


def _stack(overlay: Overlay, jobs: Sequence[Job], parts: Sequence[Part], whole: Part) -> Stack:
    for job, part in zip(jobs, parts, strict=True):
        check_values(job, part.body, whole.hidden)
    document = write.escaped(_document(overlay, jobs, parts, whole))
    return Stack(
        text=write.text(document),
        document=document,
        configs=_ours(whole.configs),
        secrets=_ours(whole.secrets),
        notes=whole.notes,
    )


def _document(overlay: Overlay, jobs: Sequence[Job], parts: Sequence[Part], whole: Part) -> dict[str, Any]:
    document: dict[str, Any] = {
        "version": VERSION,
        "services": {job.title: dict(part.body) for job, part in zip(jobs, parts, strict=True)},
        "networks": {"default": {"external": True, "name": overlay.name}},
    }
    if whole.volumes:
        document["volumes"] = dict(whole.volumes)
    for kind, objects in (("configs", whole.configs), ("secrets", whole.secrets)):
        if objects:
            document[kind] = {name: {"external": True} for name in sorted(objects)}
    return document


def _ours(objects: Mapping[str, bytes | None]) -> dict[str, bytes]:
    return {name: content for name, content in sorted(objects.items()) if content is not None}
