"""Projects: folders for resources. What was never assigned belongs to the default one."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.cloud.clock import now
from emulator.cloud.errors import BadRequestError, NotFoundError, PreconditionFailedError, UnprocessableError
from emulator.cloud.models import Assignment, Database, Droplet, Project, Vpc

if TYPE_CHECKING:
    from emulator.cloud.core import Cloud

# Of OpenAPI's schema `urn`.
URN_TYPES = (
    "dbaas",
    "domain",
    "droplet",
    "floatingip",
    "loadbalancer",
    "space",
    "volume",
    "kubernetes",
    "vpc",
)
URN = re.compile(f"do:({'|'.join(URN_TYPES)}):[^:]+")
ENVIRONMENTS = ("", "Development", "Staging", "Production")


@dataclass(frozen=True)
class Resource:
    """A resource of a project; ``status`` as the API words it."""

    urn: str
    assigned_at: str
    status: str


def seed(cloud: Cloud) -> None:
    """Make the default project."""
    if not cloud.store.all(Project):
        _put(cloud, "first-project", "", "Just trying out DigitalOcean", "Development", is_default=True)


def create(cloud: Cloud, *, name: str, purpose: str, description: str = "", environment: str = "") -> Project:
    """Make a project."""
    with cloud.store.transaction():
        _check(name, purpose, environment)
        if any(project.name == name for project in cloud.store.all(Project)):
            raise UnprocessableError("name is already in use")
        return _put(cloud, name, description, purpose, environment)


def get(cloud: Cloud, project_id: str) -> Project:
    """A project by id, or the ``default`` one. Raises ``NotFoundError``."""
    if project_id == "default":
        return next(project for project in cloud.store.all(Project) if project.is_default)
    project = cloud.store.get(Project, project_id)
    if project is None:
        raise NotFoundError
    return project


def update(cloud: Cloud, project_id: str, changes: dict[str, Any]) -> Project:
    """Change the fields in ``changes``: name, description, purpose, environment, is_default."""
    with cloud.store.transaction():
        before = get(cloud, project_id)
        project = before.model_copy(update={**changes, "updated_at": now()})
        _check(project.name, project.purpose, project.environment)
        if project.is_default and not before.is_default:
            cloud.store.put(get(cloud, "default").model_copy(update={"is_default": False}))
        return cloud.store.put(
            project.model_copy(update={"is_default": project.is_default or before.is_default})
        )


def delete(cloud: Cloud, project_id: str) -> None:
    """Remove an empty project that is not the default."""
    with cloud.store.transaction():
        project = get(cloud, project_id)
        if project.is_default:
            raise PreconditionFailedError("cannot delete the default project")
        if resources(cloud, project.id):
            raise PreconditionFailedError(
                "cannot delete a project with resources. move or remove the resources"
            )
        cloud.store.delete(project)


def resources(cloud: Cloud, project_id: str) -> list[Resource]:
    """What belongs to a project."""
    project = get(cloud, project_id)
    assigned = {assignment.urn: assignment for assignment in cloud.store.all(Assignment)}
    found = []
    for urn, created_at in _assignable(cloud).items():
        assignment = assigned.get(urn)
        by_default = project.is_default and not urn.startswith("do:vpc:")
        if (assignment.project_id == project.id) if assignment else by_default:
            found.append(Resource(urn, assignment.assigned_at if assignment else created_at, "ok"))
    return found


def assign(cloud: Cloud, project_id: str, urns: Sequence[str]) -> list[Resource]:
    """Move resources to a project; one that does not exist is reported, not refused."""
    with cloud.store.transaction():
        project = get(cloud, project_id)
        there = _assignable(cloud)
        return [_assign(cloud, project, urn, there) for urn in urns]


def _assign(cloud: Cloud, project: Project, urn: str, there: dict[str, str]) -> Resource:
    if not URN.fullmatch(urn):
        raise BadRequestError(f"urn {urn!r} is not valid: do:TYPE:ID, of the types {', '.join(URN_TYPES)}")
    if urn not in there:
        return Resource(urn, now(), "not_found")
    before = cloud.store.get(Assignment, urn)
    if before and before.project_id == project.id:
        return Resource(urn, before.assigned_at, "already_assigned")
    record = cloud.store.put(Assignment(urn=urn, project_id=project.id, assigned_at=now()))
    return Resource(urn, record.assigned_at, "assigned")


def _urns(cloud: Cloud) -> dict[str, str]:
    droplets = {f"do:droplet:{d.id}": d.created_at for d in cloud.store.all(Droplet) if not d.deleted}
    databases = {f"do:dbaas:{d.id}": d.created_at for d in cloud.store.all(Database) if not d.deleted}
    return droplets | databases


def _assignable(cloud: Cloud) -> dict[str, str]:
    """What may be moved to a project: VPCs too, which belong to none before."""
    return _urns(cloud) | {f"do:vpc:{vpc.id}": vpc.created_at for vpc in cloud.store.all(Vpc)}


def _check(name: str, purpose: str, environment: str) -> None:
    if not name or len(name) > 175:
        raise UnprocessableError("name must be between 1 and 175 characters")
    if not purpose or len(purpose) > 255:
        raise UnprocessableError("purpose must be between 1 and 255 characters")
    if environment not in ENVIRONMENTS:
        raise UnprocessableError("environment must be one of Development, Staging, Production")


def _put(
    cloud: Cloud, name: str, description: str, purpose: str, environment: str, *, is_default: bool = False
) -> Project:
    project = Project(
        id=str(uuid.uuid4()),
        name=name,
        description=description,
        purpose=purpose,
        environment=environment,
        is_default=is_default,
        created_at=now(),
        updated_at=now(),
    )
    return cloud.store.put(project)
