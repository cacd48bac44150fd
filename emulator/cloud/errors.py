"""What the control plane refuses, as one tree; ``emulator.api`` turns each into a status and a body.

* CloudError
  * BadRequestError            400
  * ForbiddenError             403
  * NotFoundError              404
  * ConflictError              409
  * PreconditionFailedError    412
  * TooLargeError              413
  * UnprocessableError         422
  * NotOfferedError            501: DigitalOcean has it, this emulator does not
  * NotPossibleError           501: the emulator's own, and not on this plane
"""

from __future__ import annotations


class CloudError(Exception):
    """A request the cloud refuses. ``id`` is DigitalOcean's word for the kind of refusal."""

    id = "server_error"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequestError(CloudError):
    """The request cannot be understood."""

    id = "bad_request"


class ForbiddenError(CloudError):
    """The request is understood, and not allowed."""

    id = "forbidden"


class NotFoundError(CloudError):
    """There is no such resource. DigitalOcean's message is the same for all of them."""

    id = "not_found"

    def __init__(self, message: str = "The resource you requested could not be found.") -> None:
        super().__init__(message)


class ConflictError(CloudError):
    """The resource's state does not allow it."""

    id = "conflict"


class PreconditionFailedError(CloudError):
    """Something else must be done first."""

    id = "precondition_failed"


class TooLargeError(CloudError):
    """There is more of it than anybody needs to say."""

    id = "request_entity_too_large"


class UnprocessableError(CloudError):
    """A value in the request is wrong."""

    id = "unprocessable_entity"


class NotOfferedError(CloudError):
    """DigitalOcean offers it and this emulator does not; nothing was changed."""

    id = "not_implemented"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not implemented by the Wavetank emulator")


class NotPossibleError(CloudError):
    """The emulator can do it, but not with what it runs on."""

    id = "not_implemented"
