"""Checks answers of the service against botocore's model of Data Pipeline.

botocore itself parses whatever it finds and drops what it does not know, so a wrong answer passes
unseen through every client; here it does not.
"""

from __future__ import annotations

import json
import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, Final

from botocore.session import get_session

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.model import OperationModel, ServiceModel, Shape

# As the model writes it, for UTF-16; and the same as Python understands it.
XML_LEGAL: Final = r"[\u0020-\uD7FF\uE000-\uFFFD\uD800\uDC00-\uDBFF\uDFFF\r\n\t]*"
_XML_LEGAL: Final = re.compile("[ -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff\r\n\t]*")
_TYPES: Final = {
    "boolean": bool,
    "list": list,
    "map": dict,
    "string": str,
    "structure": dict,
}
_NAMESPACE: Final = "com.amazon.setl.webservice#"
_COMMON_ERRORS: Final = {
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
    "SerializationException": 400,
    "ServiceUnavailable": 503,
    "ThrottlingException": 400,
    "UnknownOperationException": 400,
}
"""What any service of AWS may answer, though its model does not say so."""


@cache
def model() -> ServiceModel:
    """Return botocore's description of the API."""
    return get_session().get_service_model("datapipeline")


def operations() -> set[str]:
    """Return the names of all operations."""
    return set(model().operation_names)


@lru_cache(maxsize=2048)  # between two steps of a long test most answers stay the same
def check_answer(operation: str, body: bytes, status: int) -> None:
    """Raise `AssertionError` unless this body is one that the operation may answer."""
    described = model().operation_model(operation)
    if status == 200:
        _check_result(described, body)
    else:
        _check_error(described, json.loads(body), status)


class AnswerCheck:
    """Checks each answer which a client gets before the client parses it.

    `excused` says of an operation whether an answer which is not the service's own (it has no
    request id) may come: by a fault that the test asked for.
    """

    def __init__(self, excused: Callable[[str], bool] = lambda _: False) -> None:
        self.seen: set[str] = set()
        """Operations which had an answer, all of them right."""
        self._excused = excused

    def watch(self, client: Any) -> None:
        """Check the answers to a client of botocore, boto3 or aiobotocore from now on."""
        client.meta.events.register("before-parse.data-pipeline", self._on_answer)

    def _on_answer(
        self, operation_model: OperationModel, response_dict: dict[str, Any], **_: object
    ) -> None:
        operation = operation_model.name
        if response_dict["headers"].get("x-amzn-RequestId") is None:
            assert self._excused(operation), f"{operation}: an answer without a request id"
            return
        check_answer(operation, response_dict["body"], response_dict["status_code"])
        self.seen.add(operation)


def _check_result(operation: OperationModel, body: bytes) -> None:
    if operation.output_shape is None:
        assert body == b"", f"{operation.name}: the body must be empty, but is {body!r}"
    else:
        _check(operation.output_shape, json.loads(body or b"{}"), operation.name)


def _check_error(operation: OperationModel, error: dict[str, Any], status: int) -> None:
    where = f"{operation.name}: {error}"
    assert error.keys() == {"__type", "message"}, where
    assert error["message"], where
    _check_type("string", error["message"], where)
    assert error["__type"].startswith(_NAMESPACE), where
    code = error["__type"].removeprefix(_NAMESPACE)
    assert status == _statuses(operation).get(code), f"{where} with HTTP {status}"


def _statuses(operation: OperationModel) -> dict[str, int]:
    declared = {shape.name: 400 for shape in operation.error_shapes}
    return _COMMON_ERRORS | declared | {"InternalServiceError": 500}


def _check(shape: Shape, value: Any, where: str) -> None:
    _check_type(shape.type_name, value, where)
    match shape.type_name:
        case "structure":
            _check_structure(shape, value, where)
        case "list":
            _check_length(shape, value, where)
            member = shape.member
            for index, item in enumerate(value):
                _check(member, item, f"{where}[{index}]")
        case "map":
            for key, item in value.items():
                _check(shape.key, key, f"{where}, key")
                _check(shape.value, item, f"{where}[{key!r}]")
        case "string":
            _check_string(shape, value, where)


def _check_structure(shape: Shape, value: dict[str, Any], where: str) -> None:
    missing = set(shape.required_members) - value.keys()
    unknown = value.keys() - shape.members.keys()
    assert not missing, f"{where}: {missing} missing"
    assert not unknown, f"{where}: {unknown} unknown"
    members = shape.members
    for name, item in value.items():
        _check(members[name], item, f"{where}.{name}")


def _check_string(shape: Shape, value: str, where: str) -> None:
    _check_length(shape, value, where)
    assert not shape.enum or value in shape.enum, f"{where}: {value!r} is none of {shape.enum}"
    pattern = shape.metadata.get("pattern")
    if pattern is not None:
        assert pattern == XML_LEGAL, f"the model has a new pattern, {pattern}"
        assert _XML_LEGAL.fullmatch(value), f"{where}: {value!r} has characters XML does not allow"


def _check_length(shape: Shape, value: str | list[Any], where: str) -> None:
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max")
    assert len(value) >= least, f"{where}: shorter than {least}"
    assert most is None or len(value) <= most, f"{where}: longer than {most}"


def _check_type(name: str, value: Any, where: str) -> None:
    assert isinstance(value, _TYPES[name]), f"{where}: {value!r} is no {name}"
