"""What each worker is to do. Worker i of N takes every N-th arrival, beginning with the i-th."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from harness.judge0.model import Address, Program, Route
from harness.load.generator.generator import capacity_of
from harness.load.model import Order, Workload
from harness.load.workload import Chosen, choose


@dataclass(frozen=True)
class Share:
    """The part of worker ``index`` of ``of``: ``order`` holds its own arrivals, clients and connections.

    ``capacity`` is how many arrivals the whole load has room for.
    """

    index: int
    of: int
    capacity: int
    order: Order


def split(order: Order, workers: int) -> list[Share]:
    """The share of each worker. Every worker has a connection, if there are fewer than workers."""
    return [
        Share(
            index,
            workers,
            capacity_of(order),
            replace(
                order,
                arrivals=order.arrivals[index::workers],
                clients=part(order.clients, index, workers),
                connections=max(part(order.connections, index, workers), 1),
            ),
        )
        for index in range(workers)
    ]


def part(count: int, index: int, of: int) -> int:
    """How many of ``count`` things the worker gets that takes every ``of``-th."""
    return len(range(index, count, of))


def chosen(share: Share) -> Chosen:
    """Which program each of its arrivals is: together, the workers' are those of one generator."""
    return choose(share.order.workload, share.capacity)[share.index :: share.of]


def as_document(share: Share) -> dict[str, Any]:
    """A share as JSON; never as a pickle, for whoever reads one of those runs it."""
    order = {**asdict(replace(share.order, arrivals=np.empty(0, np.int64)))}
    order["arrivals"] = packed(share.order.arrivals.astype("<i8"))
    return {"index": share.index, "of": share.of, "capacity": share.capacity, "order": order}


def as_share(document: Mapping[str, Any]) -> Share:
    """What :func:`as_document` made JSON of."""
    order = document["order"]
    route, workload = order["route"], order["workload"]
    made = Order(
        **{
            **order,
            "route": Route(
                **{
                    **route,
                    "address": Address(**route["address"]),
                    "timestamps": tuple(route["timestamps"]),
                }
            ),
            "workload": Workload(
                **{**workload, "programs": tuple(Program(**each) for each in workload["programs"])}
            ),
            "arrivals": np.frombuffer(base64.b64decode(order["arrivals"]), "<i8").astype(np.int64),
        }
    )
    return Share(document["index"], document["of"], document["capacity"], made)


def packed(array: np.ndarray[Any, Any]) -> str:
    """The bytes of an array, in Base64."""
    return base64.b64encode(array.tobytes()).decode()
