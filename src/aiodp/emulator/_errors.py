"""What the service refuses, under the names of its API."""

from __future__ import annotations

from typing import Final

_STATUS: Final = {
    "InternalServiceError": 500,
    "ServiceUnavailable": 503,
    "RequestEntityTooLargeException": 413,
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
}


class ServiceError(Exception):
    """A refusal by the service, under its name in the API.

    Everything but the service's own failures and access refusals is HTTP 400, even "not found"
    (the API reference of SetTaskStatus).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status it travels with."""
        return _STATUS.get(self.code, 400)


def invalid(message: str) -> ServiceError:
    """Return the error for a malformed request or one beyond a limit."""
    return ServiceError("InvalidRequestException", message)
