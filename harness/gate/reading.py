"""A report's ``load`` and a baseline's file as validated data; errors name the field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from harness.core.documents import read_object
from harness.core.errors import UsageError
from harness.load.result import Interval
from harness.run.report import SCHEMA as REPORT
from harness.run.report import check_shape

BASELINE = "wavetank/baseline/v1"


def _finite_or_none(value: Any) -> Any:
    """JSON has neither NaN nor infinity, but Python's reader accepts them."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


Number = Annotated[float | None, BeforeValidator(_finite_or_none)]


class ReportModel(BaseModel):
    """Base of all models that are read: other keys are ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class Estimate(ReportModel):
    """An estimate with its confidence interval. None as ``value``: endless, or unknown."""

    value: Number
    low: Number = None
    high: Number = None
    confidence: float = 0.95

    def interval(self) -> Interval:
        """The same as the load's own data."""
        return Interval(math.inf if self.value is None else self.value, self.low, self.high, self.confidence)


class Workload(ReportModel):
    """The workload; all its keys count when two are compared."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True)
    name: str


class Route(ReportModel):
    """The entry point (``door``) and the submission mode (``way``), by their keys in reports."""

    door: str
    way: str


class Stage(ReportModel):
    """Latency of one stage."""

    hdr: str = ""


class Run(ReportModel):
    """One repetition."""

    offered: Number = None
    arrivals: int = Field(ge=0)
    errors: dict[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    stages: dict[str, Stage] = Field(default_factory=dict)
    doubts: list[str] = Field(default_factory=list)
    partial: str = ""


class Experiment(ReportModel):
    """What reports and baselines have of an experiment: each metric's value in each repetition."""

    experiment: str
    verdict: Literal["pass", "fail", "inconclusive"]
    told: str = ""
    began: str = ""
    workload: Workload
    route: Route
    samples: dict[str, list[Number]] = Field(default_factory=dict)
    doubts: list[str] = Field(default_factory=list)
    partial: str = ""


class Entry(Experiment):
    """One entry of a report's ``load``."""

    objective: dict[str, Any] = Field(default_factory=dict)
    environment: dict[str, Any] = Field(default_factory=dict)
    throughput: Estimate | None = None
    latency: dict[str, Estimate] = Field(default_factory=dict)
    runs: list[Run] = Field(default_factory=list)


class Stored(Experiment):
    """One experiment of a baseline. ``histograms``: the total latency of each repetition (HDR, base64)."""

    workload_sha256: str
    rate: Number = None
    histograms: list[str] = Field(default_factory=list)


class Environment(ReportModel):
    """Where it was measured. None and empty: unknown."""

    target: str
    topology: str
    topology_sha256: str = ""
    kernel: str = ""
    cores: int | None = None
    memory_mb: int | None = None
    engine: str = ""
    wavetank: str = ""
    python: str = ""


class Baseline(ReportModel):
    """A baseline's file. ``forced`` is the reason for saving results that did not pass, or empty."""

    version: str = Field(alias="schema")
    saved: str
    run: str
    environment: Environment
    experiments: list[Stored] = Field(min_length=1)
    forced: str = ""


T = TypeVar("T", bound=BaseModel)


def read_report(file: Path) -> dict[str, Any]:
    """A report's document. Raises ``UsageError`` if there is none, or if it has an unknown version."""
    document = _document(file, REPORT, "a report", "`wavetank bench` and `wavetank verify` write one")
    check_shape(document, file)
    return document


def read_baseline(file: Path) -> Baseline:
    """A baseline's file, checked. Raises ``UsageError`` naming the file and the field."""
    document = _document(file, BASELINE, "a baseline", "`wavetank baseline save` writes one")
    return _checked(Baseline, document, str(file))


def entries(report: Mapping[str, Any], where: str) -> tuple[Entry, ...]:
    """The experiments of a report, in its order; ``where`` names it in errors."""
    load = report.get("load", [])
    if not isinstance(load, list):
        raise UsageError(f"{where}: load: should be a list of experiments")
    return tuple(entry(each, f"{where}: load[{index}]") for index, each in enumerate(load))


def entry(document: Any, where: str) -> Entry:
    """One experiment of a report, checked. Raises ``UsageError``."""
    return _checked(Entry, document, where)


def _document(file: Path, schema: str, kind: str, remedy: str) -> dict[str, Any]:
    document = read_object(file, kind, remedy=remedy)
    if document.get("schema") != schema:
        found = document.get("schema")
        raise UsageError(f"{file} is not {kind}: its schema is {found!r}, not {schema!r}; {remedy}")
    return document


def _checked(model: type[T], document: Any, where: str) -> T:
    try:
        return model.model_validate(document)
    except ValidationError as error:
        wrong = [f"{_path(each['loc'])}{each['msg']}" for each in error.errors(include_url=False)]
        raise UsageError("\n".join(f"{where}: {each}" for each in wrong)) from error


def _path(steps: tuple[str | int, ...]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return f"{text.lstrip('.')}: " if text else ""
