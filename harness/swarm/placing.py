"""Where tasks may run: Docker's placement constraints, evaluated for each member. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

CONSTRAINT = re.compile(r"\s*([\w./-]+)\s*(==|!=)\s*(.+?)\s*")


def facts(node: Mapping[str, Any]) -> dict[str, str]:
    """A node's attributes, by the keys of constraints. ``node``: as ``docker node inspect`` prints it."""
    spec, description = node["Spec"], node.get("Description", {})
    platform, engine = description.get("Platform", {}), description.get("Engine", {})
    found = {
        "node.id": node["ID"],
        "node.hostname": description.get("Hostname", ""),
        "node.role": spec["Role"],
        "node.platform.os": platform.get("OS", ""),
        "node.platform.arch": platform.get("Architecture", ""),
    }
    found |= {f"node.labels.{name}": value for name, value in (spec.get("Labels") or {}).items()}
    return found | {f"engine.labels.{name}": value for name, value in (engine.get("Labels") or {}).items()}


def satisfies(constraint: str, known: Mapping[str, str]) -> bool:
    """Whether a node with these attributes satisfies a constraint. Raises ``ValueError`` for an invalid one.

    As in Docker: case does not matter, and an attribute that a node does not have is the empty string.
    """
    key, operator, wanted = _parts(constraint)
    same = known.get(key, "").casefold() == wanted.casefold()
    return same if operator == "==" else not same


def normalised(constraint: str) -> str:
    """A constraint without the spaces that it may be written with, so that equal ones compare as equal."""
    return "".join(_parts(constraint))


def _parts(constraint: str) -> tuple[str, str, str]:
    found = CONSTRAINT.fullmatch(constraint)
    if not found:
        raise ValueError(f"{constraint!r} is not a constraint: write KEY==VALUE or KEY!=VALUE")
    return found[1], found[2], found[3]
