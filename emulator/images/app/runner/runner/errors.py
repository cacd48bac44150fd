"""What goes wrong, with the HTTP status it becomes and the service it was.

RunnerError
  BadRequest      400  the request itself
  Refused         503  the service said that it takes no more now
  Unavailable     502  the service cannot be reached or answers nonsense
  TimedOut        504  the service did not answer in time
"""


class RunnerError(Exception):
    """`service` is who failed: runner, judge0 or mongo."""

    status = 500

    def __init__(self, service: str, message: str) -> None:
        super().__init__(message)
        self.service, self.message = service, message

    def body(self) -> dict[str, object]:
        return {"error": {"service": self.service, "message": self.message}}


class BadRequest(RunnerError):
    status = 400

    def __init__(self, message: str) -> None:
        super().__init__("runner", message)


class Unavailable(RunnerError):
    status = 502


class Refused(RunnerError):
    status = 503


class TimedOut(RunnerError):
    status = 504
