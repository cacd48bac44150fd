"""The locustfile that Locust loads in its master and workers; nothing else imports it.

The master relays messages between this project's process and the workers. A worker submits its share. The
schedule is not Locust's: Locust's users wait for their answers, arrivals do not. So Locust has one user for
each worker, which represents the share, and each arrival that ends is an event of Locust's statistics.
"""

from __future__ import annotations

import os
import socket
import time
import traceback
from functools import partial
from typing import Any

import gevent
from locust import User, events, task
from locust.runners import STATE_MISSING, MasterRunner, WorkerRunner

from harness.core.errors import ResourceError, UsageError
from harness.judge0.model import Program
from harness.load.generator.process import tie_to
from harness.load.locust.channel import Channel
from harness.load.locust.processes import CONTROL, NAME, PARENT, SECRET
from harness.load.locust.share_runner import ShareRunner
from harness.load.locust.shares import as_share
from harness.load.model import SECOND

MESSAGE = "wavetank"
REPORT_SECONDS = 1.0
RECEIVE_SECONDS = 60.0
# How far two clocks may differ: a tenth of the latencies that matter.
CLOCK_SECONDS = 0.005

if PARENT in os.environ:
    tie_to(int(os.environ[PARENT]))


class Arrivals(User):  # type: ignore[misc,unused-ignore]
    """Represents a worker's share while that is submitted."""

    @task  # type: ignore[untyped-decorator,unused-ignore]
    def stand(self) -> None:
        """Until Locust quits."""
        gevent.sleep(RECEIVE_SECONDS)


class Master:
    """Relays messages to workers and back, and reports the workers that Locust misses."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._channel = Channel(socket.socket(fileno=int(os.environ[CONTROL])))
        self._missed: set[str] = set()
        runner.register_message(MESSAGE, self._from_worker)
        self._channel.send({"kind": "listening", "port": runner.server.port})
        gevent.spawn(self._listen)
        gevent.spawn(self._report_missing)

    def _listen(self) -> None:
        while not self._channel.closed:
            message = self._channel.receive(RECEIVE_SECONDS)
            if message and message["kind"] == "quit":
                break
            if message:
                self._runner.send_message(MESSAGE, message, client_id=message.pop("to"))
        self._runner.quit()

    def _from_worker(self, environment: Any, msg: Any, **_more: Any) -> None:
        del environment
        self._channel.send({**msg.data, "worker": msg.node_id})

    def _report_missing(self) -> None:
        while True:
            gevent.sleep(REPORT_SECONDS)
            missed = {each.id for each in self._runner.clients.all if each.state == STATE_MISSING}
            for worker in missed - self._missed:
                self._channel.send({"kind": "lost", "worker": worker})
            self._missed |= missed


class Worker:
    """Follows the messages it gets: takes its share, and runs it from the given time on."""

    def __init__(self, environment: Any) -> None:
        self._environment, self._runner = environment, environment.runner
        self._share_runner: ShareRunner | None = None
        self._runner.register_message(MESSAGE, self._receive)
        # Not before Locust has begun, for then it clears its statistics.
        environment.events.test_start.add_listener(self._ready)

    def _ready(self, **_more: Any) -> None:
        name = os.environ.get(NAME) or f"{socket.gethostname()}:{os.getpid()}"
        self._send("ready", name=name, secret=os.environ.get(SECRET, ""))

    def _receive(self, environment: Any, msg: Any, **_more: Any) -> None:
        del environment
        kind = msg.data["kind"]
        if kind == "stop" and self._share_runner:
            self._share_runner.stop()
        elif kind == "share":
            gevent.spawn(self._reporting_failure, partial(self._prepare, msg.data["share"]))
        elif kind == "go":
            gevent.spawn(self._reporting_failure, partial(self._go, msg.data["at"], msg.data["within"]))

    def _prepare(self, share: dict[str, Any]) -> None:
        self._share_runner = ShareRunner(as_share(share), self._report_end)
        self._send("prepared")

    def _go(self, at: float, within: float) -> None:
        runner = self._share_runner
        assert runner is not None
        left = at - time.time()
        if not 0 < left <= within + CLOCK_SECONDS:
            off = -left if left <= 0 else left - within
            raise ResourceError(
                "locust worker",
                os.environ.get(NAME) or socket.gethostname(),
                f"its clock and the master's differ by {off:.3f} s or more, or the message came too late: "
                "synchronise the clocks of both machines with NTP",
            )
        origin = time.monotonic_ns() + round(left * SECOND)
        reporting = gevent.spawn(self._report_progress, runner)
        part = runner.run(origin)
        reporting.kill()
        if runner.failure:
            self._send("failed", text=runner.failure)
        else:
            self._send("done", part=part)

    def _report_progress(self, runner: ShareRunner) -> None:
        while True:
            gevent.sleep(REPORT_SECONDS)
            self._send("tick", tick=runner.progress())

    def _reporting_failure(self, action: partial[None]) -> None:
        try:
            action()
        except UsageError as error:
            self._send("refused", usage=str(error))
        except ResourceError as error:
            self._send("refused", resource=[error.kind, error.name, error.problem])
        except Exception:  # noqa: BLE001 (whatever it is, it is reported)
            self._send("failed", text=traceback.format_exc())

    def _report_end(self, program: Program, milliseconds: float, message: str) -> None:
        self._environment.events.request.fire(
            request_type="submission",
            name=program.name,
            response_time=milliseconds,
            response_length=0,
            exception=RuntimeError(message) if message else None,
            context={},
        )

    def _send(self, kind: str, **more: Any) -> None:
        self._runner.send_message(MESSAGE, {"kind": kind, **more})


def _begin(environment: Any, **_more: Any) -> None:
    if isinstance(environment.runner, MasterRunner) and CONTROL in os.environ:
        Master(environment.runner)
    elif isinstance(environment.runner, WorkerRunner):
        Worker(environment)


events.init.add_listener(_begin)  # type: ignore[no-untyped-call,unused-ignore]
