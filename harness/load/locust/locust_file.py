"""What Locust loads in its master and workers; nobody else imports it.

The master passes on what we and the workers say. A worker hands in its share. Its schedule is not Locust's:
users of Locust wait for their answers, arrivals do not. So Locust has one user for each worker, which stands
for the share, and each arrival that ends is an event of Locust's statistics.
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
from harness.load.locust.handing import Handing
from harness.load.locust.line import Line
from harness.load.locust.processes import CONTROL, NAME, PARENT, SECRET
from harness.load.locust.shares import as_share
from harness.load.model import SECOND

MESSAGE = "wavetank"
LOOK_SECONDS = 1.0
HEAR_SECONDS = 60.0
# So far two clocks may differ: a tenth of the latencies that are worth telling.
CLOCK_SECONDS = 0.005

if PARENT in os.environ:
    tie_to(int(os.environ[PARENT]))


class Arrivals(User):  # type: ignore[misc,unused-ignore]
    """Stands for a worker's share as long as that is handed in."""

    @task  # type: ignore[untyped-decorator,unused-ignore]
    def stand(self) -> None:
        """Until Locust quits."""
        gevent.sleep(HEAR_SECONDS)


class Master:
    """Passes on, from us to workers and back, and says whom Locust misses."""

    def __init__(self, runner: Any) -> None:
        self._runner = runner
        self._line = Line(socket.socket(fileno=int(os.environ[CONTROL])))
        self._missed: set[str] = set()
        runner.register_message(MESSAGE, self._from_worker)
        self._line.say({"kind": "listening", "port": runner.server.port})
        gevent.spawn(self._listen)
        gevent.spawn(self._look)

    def _listen(self) -> None:
        while not self._line.closed:
            said = self._line.hear(HEAR_SECONDS)
            if said and said["kind"] == "quit":
                break
            if said:
                self._runner.send_message(MESSAGE, said, client_id=said.pop("to"))
        self._runner.quit()

    def _from_worker(self, environment: Any, msg: Any, **_more: Any) -> None:
        del environment
        self._line.say({**msg.data, "worker": msg.node_id})

    def _look(self) -> None:
        while True:
            gevent.sleep(LOOK_SECONDS)
            missed = {each.id for each in self._runner.clients.all if each.state == STATE_MISSING}
            for worker in missed - self._missed:
                self._line.say({"kind": "lost", "worker": worker})
            self._missed |= missed


class Worker:
    """Does what it is told: takes its share, and runs it from a moment on."""

    def __init__(self, environment: Any) -> None:
        self._environment, self._runner = environment, environment.runner
        self._handing: Handing | None = None
        self._runner.register_message(MESSAGE, self._heard)
        # Not before Locust has begun, for then it clears its statistics.
        environment.events.test_start.add_listener(self._ready)

    def _ready(self, **_more: Any) -> None:
        name = os.environ.get(NAME) or f"{socket.gethostname()}:{os.getpid()}"
        self._say("ready", name=name, secret=os.environ.get(SECRET, ""))

    def _heard(self, environment: Any, msg: Any, **_more: Any) -> None:
        del environment
        kind = msg.data["kind"]
        if kind == "stop" and self._handing:
            self._handing.stop()
        elif kind == "share":
            gevent.spawn(self._told_of_failure, partial(self._prepare, msg.data["share"]))
        elif kind == "go":
            gevent.spawn(self._told_of_failure, partial(self._go, msg.data["at"], msg.data["within"]))

    def _prepare(self, share: dict[str, Any]) -> None:
        self._handing = Handing(as_share(share), self._tell)
        self._say("prepared")

    def _go(self, at: float, within: float) -> None:
        handing = self._handing
        assert handing is not None
        left = at - time.time()
        if not 0 < left <= within + CLOCK_SECONDS:
            off = -left if left <= 0 else left - within
            raise ResourceError(
                "locust worker",
                os.environ.get(NAME) or socket.gethostname(),
                f"its clock and the master's differ by {off:.3f} s or more, or it was told too late: "
                "have NTP set the clocks of both machines",
            )
        origin = time.monotonic_ns() + round(left * SECOND)
        looking = gevent.spawn(self._look, handing)
        part = handing.run(origin)
        looking.kill()
        if handing.failure:
            self._say("failed", text=handing.failure)
        else:
            self._say("done", part=part)

    def _look(self, handing: Handing) -> None:
        while True:
            gevent.sleep(LOOK_SECONDS)
            self._say("tick", tick=handing.look())

    def _told_of_failure(self, action: partial[None]) -> None:
        try:
            action()
        except UsageError as error:
            self._say("refused", usage=str(error))
        except ResourceError as error:
            self._say("refused", resource=[error.kind, error.name, error.problem])
        except Exception:  # noqa: BLE001 (whatever it is, it is told)
            self._say("failed", text=traceback.format_exc())

    def _tell(self, program: Program, milliseconds: float, said: str) -> None:
        self._environment.events.request.fire(
            request_type="submission",
            name=program.name,
            response_time=milliseconds,
            response_length=0,
            exception=RuntimeError(said) if said else None,
            context={},
        )

    def _say(self, kind: str, **more: Any) -> None:
        self._runner.send_message(MESSAGE, {"kind": kind, **more})


def _begin(environment: Any, **_more: Any) -> None:
    if isinstance(environment.runner, MasterRunner) and CONTROL in os.environ:
        Master(environment.runner)
    elif isinstance(environment.runner, WorkerRunner):
        Worker(environment)


events.init.add_listener(_begin)  # type: ignore[no-untyped-call,unused-ignore]
