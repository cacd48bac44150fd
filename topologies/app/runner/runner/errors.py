"""What goes wrong, with the HTTP status it becomes and the service it was.

RunnerError
  BadRequestError      400  the request itself
  RefusedError         503  the service said that it takes no more now
  UnavailableError     502  the service cannot be reached or answers nonsense
    UnsentError        502  and has seen nothing of the request, which may be made again
  TimedOutError        504  the service did not answer in time
"""


class RunnerError(Exception):
    """`service` is who failed: runner, judge0 or mongo."""

    status = 500

    def __init__(self, service: str, message: str) -> None:
        super().__init__(message)
        self.service, self.message = service, message

    def body(self) -> dict[str, object]:
        return {"error": {"service": self.service, "message": self.message}}


class BadRequestError(RunnerError):
    status = 400

    def __init__(self, message: str) -> None:
        super().__init__("runner", message)


class UnavailableError(RunnerError):
    status = 502


class UnsentError(UnavailableError):
    pass


class RefusedError(RunnerError):
    status = 503


class TimedOutError(RunnerError):
    status = 504
