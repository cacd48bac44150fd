"""Find and delete what was left behind: runs by their tags and marks, and the age of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from harness.core.names import run_of_name
from harness.core.progress import Progress
from harness.provision import Item, Observed, destroy, inspect
from harness.provision.account import Account, fetch
from harness.provision.observe import item_of
from harness.provision.owner import lookalikes, own, runs_of
from harness.run import lease
from harness.target.api import Api
from harness.target.target import Target

QUIET = Progress(quiet=True)
Agree = Callable[[Sequence[Item]], None]


@dataclass(frozen=True)
class FoundRun:
    """A run and its resources. ``age``: of its oldest resource; None: none has a date.

    ``used`` says who uses it now; ``guests`` are resources of others that depend on it. Both in words.
    """

    run: str
    age: timedelta | None
    items: tuple[Item, ...]
    used: tuple[str, ...] = ()
    guests: tuple[str, ...] = ()


@dataclass(frozen=True)
class Swept:
    """Which runs were (with a dry run: would be) deleted, and which old ones were not, with the reason.

    ``blocked``: whether one was not deleted because resources of others depend on it.
    """

    gone: tuple[FoundRun, ...]
    left: dict[str, str]
    blocked: bool = False

    @property
    def runs(self) -> list[str]:
        """The names of the deleted runs."""
        return [each.run for each in self.gone]


def survey(target: Target, *, now: datetime | None = None) -> list[FoundRun]:
    """Every run on ``target``, no matter who made it, by the resources with a run's tag or mark.

    An expired lease of a run that has nothing else counts as one, too.
    """
    present = now or datetime.now(UTC)
    account = _ask(target)
    there = runs_of(account)
    found = [_found(run, inspect(target, run), present) for run in there]
    leases = filter(None, (lease.parse(tag["name"]) for tag in account.tags))
    dead = [each for each in leases if each.run not in there and each.until < present.timestamp()]
    return [
        *found,
        *(
            FoundRun(each.run, present - datetime.fromtimestamp(each.until, UTC), (Item("tag", each.tag),))
            for each in dead
        ),
    ]


def sweep(
    target: Target,
    older_than: timedelta,
    *,
    dry_run: bool = False,
    is_busy: Callable[[str], bool] = lambda _: False,
    agree: Agree = lambda _: None,
    progress: Progress = QUIET,
    now: datetime | None = None,
) -> Swept:
    """Delete every run older than ``older_than``, after ``agree``; ``dry_run`` only lists them.

    Not deleted, with a note: a run that a process works on (``is_busy``), that somebody uses on any machine,
    or that resources of others depend on. A run without a date, of which only tags or a key are left, is
    deleted only with ``older_than`` zero. ``agree`` gets the list of all that would be deleted, and raises to
    refuse.
    """
    for each in foreign(target):
        progress.note(f"not deleted: {each}: it has a name like ours, but no mark of a run")
    old = [found for found in survey(target, now=now) if _is_old(found, older_than)]
    left = {found.run: why for found in old if (why := _why_left(found, is_busy))}
    for run, why in left.items():
        progress.note(f"{run}: not deleted: {why}")
    going = tuple(found for found in old if found.run not in left)
    for found in going:
        progress.note("\n".join((f"{found.run}: {_words(found.age)}", *_listed(found, now))))
    if going and not dry_run:
        agree([item for found in going for item in found.items])
        going = tuple(found for found in going if _take_down(target, found, left, progress, now))
    return Swept(going, left, any(found.guests for found in old))


def foreign(target: Target) -> list[Item]:
    """Resources with a name like ours that do not belong to a run."""
    account = _ask(target)
    named = (each["name"] for each in (*account.vpcs, *account.keys, *account.firewalls, *account.databases))
    runs = dict.fromkeys(run for name in named if (run := run_of_name(name)))
    return [item_of(kind, body) for run in runs for kind, body in lookalikes(account, own(account, run))]


def _ask(target: Target) -> Account:
    with Api(target, read_only=True) as api:
        return fetch(api)


def _found(run: str, observed: Observed, now: datetime) -> FoundRun:
    used = tuple(map(str, lease.alive(observed.leases, now=now.timestamp())))
    return FoundRun(
        run, _age(observed.items(), now), observed.items(), used, tuple(map(str, observed.guests))
    )


def _why_left(found: FoundRun, is_busy: Callable[[str], bool]) -> str:
    if is_busy(found.run):
        return "a process is working on it"
    if found.used:
        return "; ".join(found.used)
    return f"resources of others depend on it: {'; '.join(found.guests)}" if found.guests else ""


def _take_down(
    target: Target, found: FoundRun, left: dict[str, str], progress: Progress, now: datetime | None
) -> bool:
    """Whether it was deleted: the user's answer takes time, and somebody may use the run by now."""
    present = (now or datetime.now(UTC)).timestamp()
    used = lease.alive(inspect(target, found.run).leases, now=present)
    if used:
        left[found.run] = "; ".join(map(str, used))
        progress.note(f"{found.run}: not deleted: {left[found.run]}")
        return False
    destroy(target, found.run, progress=progress, agreed=found.items)
    return True


def _listed(found: FoundRun, now: datetime | None) -> Iterator[str]:
    present = now or datetime.now(UTC)
    yield from (f"  {each}, {_words(_age([each], present))}" for each in found.items)


def _is_old(found: FoundRun, older_than: timedelta) -> bool:
    return found.age >= older_than if found.age is not None else not older_than


def _words(age: timedelta | None) -> str:
    return "of unknown age" if age is None else f"{timedelta(seconds=int(age.total_seconds()))} old"


def _age(items: Sequence[Item], now: datetime) -> timedelta | None:
    born = min(_dates(items), default=None)
    return now - born if born is not None else None


def _dates(items: Sequence[Item]) -> Iterator[datetime]:
    yield from (datetime.fromisoformat(each.created_at) for each in items if each.created_at)
