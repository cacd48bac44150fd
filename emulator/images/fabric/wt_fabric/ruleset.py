"""Is the ruleset that the kernel has the one that was loaded? Runs in the fabric's namespace.

What was loaded last is kept as text. The same nft compiles it again in a network namespace made for it,
and both are listed and compared, object by object: tables, chains with their rules in order, sets, maps with
their elements, counters by name. Left out are handles, counts, and the elements of the sets that count drops.
"""

from __future__ import annotations

import difflib
import json
import re
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wt_fabric.command import run

RUN = Path("/run/wavetank")
APPLIED, NEXT, MEMORY = RUN / "ruleset.nft", RUN / "ruleset.next", RUN / "tampering.json"
TABLE = "table inet wavetank"
MOST_TEXT, MOST_KEPT = 2000, 200
LIST = f"""\
nft -t list ruleset || exit 1
for each in gates.out gates.in; do nft list map {TABLE.removeprefix("table ")} $each 2>/dev/null; done
for each in ip ip6 arp; do sed "s/^/legacy $each /" /proc/self/net/"$each"_tables_names 2>/dev/null; done
true
"""
COUNT = re.compile(r"packets (\d+) bytes \d+")
SET = re.compile(r"\{ ([^{}]+) \}")

Name = tuple[str, str]  # a table, and an object in it; "" for the table itself
Objects = dict[Name, tuple[str, ...]]
Difference = dict[str, str]

last_counts: dict[str, int] = {}
compiled: dict[str, Objects] = {}
remembering = threading.Lock()


def load(ruleset: str, whole: str) -> list[Difference]:
    """Put ``ruleset`` in force; ``whole`` is the same for a table that is empty.

    Where what is there is not what was loaded last, everything is removed and ``whole`` takes its place; what
    was wrong is returned, and remembered until :func:`forget`.
    """
    found = differences()
    if found:
        remember(found)
        ruleset = sweep() + whole
    replace(ruleset, whole)
    return found


def replace(ruleset: str, whole: str) -> None:
    """Load ``ruleset``, after which ``whole`` is what is in force."""
    # First on disk: whoever is killed between the two leaves either of them in force, and both on record.
    NEXT.write_text(whole)
    try:
        run("nft", "-f", "-", stdin=ruleset)
    except Exception:
        NEXT.unlink()
        raise
    NEXT.replace(APPLIED)


def differences(whole: str = "") -> list[Difference]:
    """How what is in force differs from ``whole``, else from what was loaded last."""
    listing = run("sh", "-c", LIST)
    live = parse(listing)
    wanted = [whole] if whole else [path.read_text() for path in (APPLIED, NEXT) if path.exists()]
    found = [list(compare(live, compile_(text))) for text in wanted]
    return [*min(found, key=len, default=[]), *went_back(counts(listing))]


def sweep() -> str:
    """Text that removes every table; what they have counted is gone with them."""
    last_counts.clear()
    tables = {table for table, _ in parse(run("sh", "-c", LIST)) if table.startswith("table ")}
    return "".join(f"delete {table}\n" for table in sorted(tables))


def compile_(text: str) -> Objects:
    """The objects of a ruleset, as nft lists them from a namespace in which there is nothing else."""
    if text not in compiled:
        compiled.clear()
        listing = run("unshare", "--net", "sh", "-c", f"nft -f - || exit 1\n{LIST}", stdin=text)
        compiled[text] = parse(listing)
    return compiled[text]


def remember(found: Iterable[Difference]) -> None:
    """Keep what was wrong although it is restored, for the next comparison."""
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    with remembering:
        kept = [*_remembered(), *({**each, "at": now} for each in found)][:MOST_KEPT]
        MEMORY.write_text(json.dumps(kept))


def remembered() -> list[Difference]:
    """What was wrong, and was restored since."""
    with remembering:
        return _remembered()


def forget() -> None:
    """Forget what was wrong."""
    with remembering:
        MEMORY.unlink(missing_ok=True)


def _remembered() -> list[Difference]:
    kept: list[Difference] = json.loads(MEMORY.read_text()) if MEMORY.exists() else []
    return kept


def parse(listing: str) -> Objects:
    """A listing's objects: their lines in order, without counts, sets in an order of their own."""
    objects: Objects = {}
    table = name = ""
    lines: list[str] = []
    for line in _whole_lines(listing):
        depth, text = len(line) - len(line.lstrip("\t")), line.split(" #")[0].strip()
        if text.startswith("legacy "):
            objects["legacy tables", text.removeprefix("legacy ")] = ()
        elif depth == 0 and text.endswith("{"):
            table, name, lines = text.removesuffix(" {"), "", []
            objects.setdefault((table, ""), ())
        elif depth == 1 and text.endswith("{"):
            name, lines = text.removesuffix(" {"), []
        elif text == "}" and depth == 1:
            objects[table, name] = tuple(lines)
        elif depth >= 2:
            lines.append(_plain(text))
        elif text and text != "}":  # a flag of the table
            objects[table, ""] = (*objects[table, ""], text)
    return objects


def counts(listing: str) -> dict[str, int]:
    """Packets by named counter."""
    packets: dict[str, int] = {}
    name = ""
    for line in listing.splitlines():
        if line.startswith("\tcounter "):
            name = line.split()[1]
        elif name and (found := COUNT.search(line)):
            packets[name], name = int(found[1]), ""
    return packets


def went_back(now: Mapping[str, int]) -> list[Difference]:
    """Counters that show less than when they were read last: they only ever grow."""
    back = [
        {
            "where": f"{TABLE}, counter {name}",
            "problem": "went back",
            "text": f"from {last_counts[name]} to {count}",
        }
        for name, count in now.items()
        if count < last_counts.get(name, 0)
    ]
    last_counts.clear()
    last_counts.update(now)
    return back


def compare(live: Objects, wanted: Objects) -> Iterator[Difference]:
    """What is there and should not be, what should be and is not, and what is otherwise."""
    for name in sorted({*live, *wanted}):
        if name not in wanted:
            yield _difference(name, "is foreign", live[name])
        elif name not in live:
            yield _difference(name, "is missing", wanted[name])
        elif live[name] != wanted[name]:
            yield from _changed(name, live[name], wanted[name])


def _changed(name: Name, live: tuple[str, ...], wanted: tuple[str, ...]) -> Iterator[Difference]:
    if sorted(live) == sorted(wanted):
        yield _difference(name, "is in another order", live)
        return
    for line in difflib.ndiff(wanted, live):
        if line[0] in "+-":
            yield _difference(name, "has a foreign line" if line[0] == "+" else "lacks a line", (line[2:],))


def _difference(name: Name, problem: str, lines: Iterable[str]) -> Difference:
    return {"where": ", ".join(filter(None, name)), "problem": problem, "text": "; ".join(lines)[:MOST_TEXT]}


def _plain(text: str) -> str:
    """Without counts, and each set's elements sorted: the kernel lists them in an order of its own."""
    return SET.sub(
        lambda found: f"{{ {', '.join(sorted(found[1].split(', ')))} }}", COUNT.sub("", text)
    ).strip()


def _whole_lines(listing: str) -> Iterator[str]:
    """Lines of a listing, with the elements of a map, which stretch over several, in one."""
    held: list[str] = []
    for line in listing.splitlines():
        held.append(line if not held else line.strip())
        text = " ".join(held)
        if "elements = {" not in text or text.rstrip().endswith("}"):
            yield text
            held = []


def to_dicts(found: Iterable[Mapping[str, Any]]) -> list[Difference]:
    """Differences as the agent returns them."""
    return [
        {key: str(each[key]) for key in ("where", "problem", "text", "at") if key in each} for each in found
    ]
