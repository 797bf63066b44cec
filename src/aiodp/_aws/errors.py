"""What an error means: one of the service, of the connection, of credentials, or of a hook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore import exceptions as botocore_errors

from aiodp._aws.advice import advice_on
from aiodp._log import error_text
from aiodp._redaction import redact
from aiodp._types import Outcome, ReportKind

if TYPE_CHECKING:
    from collections.abc import Mapping

_HTTP_ERROR: Final = 500
_TOO_MANY_REQUESTS: Final = 429

CODES: Final = {
    ReportKind.REFUSED: (
        "TaskNotFoundException",
        "PipelineNotFoundException",
        "PipelineDeletedException",
    ),
    ReportKind.THROTTLED: (
        "ThrottlingException",
        "ThrottledException",
        "Throttling",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestLimitExceeded",
        "TooManyRequestsException",
        "SlowDown",
        str(_TOO_MANY_REQUESTS),
    ),
    ReportKind.INVALID: ("InvalidRequestException", "ValidationException"),
    ReportKind.CONFIGURATION: (
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnknownOperationException",
        "UnrecognizedClientException",
    ),
    ReportKind.SERVER_ERROR: (
        "InternalServiceError",
        "InternalFailure",
        "ServiceUnavailable",
        "ServiceUnavailableException",
    ),
}
"""What an error code of the service means."""

EXCEPTIONS: tuple[tuple[type[Exception], ReportKind], ...] = (
    (botocore_errors.ConnectTimeoutError, ReportKind.TIMEOUT),
    (botocore_errors.ReadTimeoutError, ReportKind.TIMEOUT),
    (botocore_errors.HTTPClientError, ReportKind.CONNECTION),
    (botocore_errors.ConnectionError, ReportKind.CONNECTION),
    (botocore_errors.ParamValidationError, ReportKind.INVALID),
    # A refresh that fails may well succeed when it is tried again, so it is no configuration error.
    (botocore_errors.CredentialRetrievalError, ReportKind.UNEXPECTED),
    (botocore_errors.MetadataRetrievalError, ReportKind.UNEXPECTED),
    (botocore_errors.BotoCoreError, ReportKind.CONFIGURATION),
    (NotImplementedError, ReportKind.CONFIGURATION),  # of moto, which answers in its place
)
"""What an exception raised on this side means; the first row that fits."""

TIMED_OUT: Final = Outcome(
    kind=ReportKind.TIMEOUT, error=TimeoutError("a call was not answered in time")
)

_OPERATIONS: Final = frozenset(
    {
        "DescribeObjects",
        "EvaluateExpression",
        "GetPipelineDefinition",
        "ListPipelines",
        "PollForTask",
        "QueryObjects",
        "ReportTaskProgress",
        "ReportTaskRunnerHeartbeat",
        "SetTaskStatus",
    }
)
"""What we call; a call to anything else was made for credentials."""
_UNREACHABLE: Final = (
    botocore_errors.EndpointConnectionError,
    botocore_errors.ProxyConnectionError,
)
"""Errors whose own words do not say why."""
_KINDS: Final = {code: kind for kind, codes in CODES.items() for code in codes}


class CredentialsFailed(Exception):  # noqa: N818 - named like the errors that users meet
    """No credentials could be had; `__cause__` is what their provider raised."""

    def __init__(self, error: Exception, provider: str | None = None) -> None:
        names = [name for name in (provider, getattr(error, "operation_name", None)) if name]
        super().__init__(": ".join(["credentials could not be had", *names, describe(error)]))
        self.__cause__ = error


def outcome_of(error: Exception) -> Outcome:
    """Return what an exception of a call means."""
    if isinstance(error, CredentialsFailed):
        # What a provider says is no word of the service: SSO, too, knows an InvalidRequest.
        failed = error.__cause__ if isinstance(error.__cause__, Exception) else error
        wrong = _kind_of(failed) is ReportKind.CONFIGURATION
        kind = ReportKind.CONFIGURATION if wrong else ReportKind.UNEXPECTED
        return Outcome(kind=kind, error=error)
    if isinstance(error, botocore_errors.ClientError) and error.operation_name not in _OPERATIONS:
        return outcome_of(CredentialsFailed(error))
    return Outcome(kind=_kind_of(error), error=error)


def code_of(error: BaseException | None) -> str:
    """Return the service's error code, empty if the error is not from the service."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def describe(error: BaseException | None) -> str:
    """Return an error in the service's own words, without botocore's around them, or secrets."""
    if isinstance(error, botocore_errors.ClientError):
        details = error.response.get("Error", {})
        return redact(f"{details.get('Code')}: {details.get('Message')}")
    reason = error.kwargs.get("error") if isinstance(error, _UNREACHABLE) else None
    text = error_text(error) + (f" ({error_text(reason)})" if reason else "")
    advice = advice_on(error)
    return redact(f"{text} ({advice})" if advice else text)


def _kind_of(error: Exception) -> ReportKind:
    if isinstance(error, botocore_errors.ClientError):
        return _kind_of_response(error.response)
    for kind_of_error, kind in EXCEPTIONS:
        if isinstance(error, kind_of_error):
            return kind
    # What botocore's parsers raise for a broken answer: AttributeError, UnicodeDecodeError, …
    return ReportKind.MALFORMED


def _kind_of_response(response: Mapping[str, Any]) -> ReportKind:
    if kind := _KINDS.get(response.get("Error", {}).get("Code", "")):
        return kind
    if response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0) >= _HTTP_ERROR:
        return ReportKind.SERVER_ERROR
    return ReportKind.UNEXPECTED
