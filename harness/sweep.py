"""Find what was left behind: runs by their tags and names, and how long each has stood."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from harness.api import Api
from harness.progress import Progress
from harness.provision import destroy, runs
from harness.provision.observe import Observed, look
from harness.target import Target

QUIET = Progress(quiet=True)


@dataclass(frozen=True)
class Found:
    """A run and what there is of it, in words. ``age``: of its oldest resource; None: none has a date."""

    run: str
    age: timedelta | None
    resources: tuple[str, ...]


def survey(target: Target, *, now: datetime | None = None) -> list[Found]:
    """Every run on ``target``, whoever made it; only what carries a run's tag or name is looked at."""
    present = now or datetime.now(UTC)
    found = []
    for run in runs(target):
        with Api(target, read_only=True) as api:
            seen = look(api, run)
        found.append(Found(run, _age(seen, present), seen.inventory()))
    return found


def sweep(
    target: Target,
    older_than: timedelta,
    *,
    dry_run: bool = False,
    is_busy: Callable[[str], bool] = lambda _: False,
    progress: Progress = QUIET,
    now: datetime | None = None,
) -> list[str]:
    """Take down every run older than ``older_than`` and return their names; ``dry_run`` only names them.

    A run that ``is_busy`` says a process works on is left alone, and told.
    A run without a date, of which only tags or a key are left, goes with ``older_than`` zero alone.
    """
    old = [found for found in survey(target, now=now) if _is_old(found, older_than)]
    swept = []
    for found in old:
        if is_busy(found.run):
            progress.note(f"{found.run}: left alone: a process is working on it")
            continue
        progress.note(f"{found.run}: {_words(found.age)}: {', '.join(found.resources)}")
        if not dry_run:
            destroy(target, found.run, progress=progress)
        swept.append(found.run)
    return swept


def _is_old(found: Found, older_than: timedelta) -> bool:
    return found.age >= older_than if found.age is not None else not older_than


def _words(age: timedelta | None) -> str:
    return "of unknown age" if age is None else f"{timedelta(seconds=int(age.total_seconds()))} old"


def _age(seen: Observed, now: datetime) -> timedelta | None:
    born = min(_dates(seen), default=None)
    return now - born if born is not None else None


def _dates(seen: Observed) -> Iterator[datetime]:
    groups: Iterable[Iterable[dict[str, str]]] = (
        seen.vpcs,
        seen.firewalls,
        seen.droplets,
        seen.strangers,
        seen.databases,
    )
    for group in groups:
        yield from (datetime.fromisoformat(each["created_at"]) for each in group)
