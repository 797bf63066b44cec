"""The form of each request: its members, their types and lengths, and the characters allowed.

As in every JSON API of AWS a member which is `null` is one which is not there, and one which the
operation does not have is ignored.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final

from aiodp.emulator._errors import invalid

_MAX_NUMBER: Final = 1e15
"""Beyond any number of the API; JSON in Python has no bound, and even has NaN."""
_ILLEGAL: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters which XML 1.0 does not have: the API refuses them in every string."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A value's type and length; of a structure also its members, of a list its items.

    Where AWS has no bound for a list, `most` is more than any real request has.
    """

    kind: type | tuple[type, ...] = str
    required: bool = False
    least: int = 0
    most: int = 1024
    members: dict[str, _Member] = field(default_factory=dict)
    item: _Member | None = None
    choices: frozenset[str] = frozenset()
    """Of an enumeration, its values."""


def _structure(*, required: bool = False, **members: _Member) -> _Member:
    return _Member(kind=dict, required=required, members=members)


def _list_of(item: _Member, *, required: bool = False, most: int = 10_000) -> _Member:
    return _Member(kind=list, item=item, required=required, most=most)


_TEXT: Final = _Member()
_NEEDED: Final = _Member(required=True)
_ID: Final = _Member(required=True, least=1)
_LONG: Final = _Member(most=20_971_520)
_TASK: Final = _Member(required=True, least=1, most=2048)
_VALUE: Final = _Member(most=10_240)
_KEY: Final = _Member(required=True, least=1, most=256)
_FIELD: Final = _structure(key=_KEY, stringValue=_VALUE, refValue=_Member(least=1, most=256))
_OBJECT: Final = _structure(id=_NEEDED, name=_NEEDED, fields=_list_of(_FIELD, required=True))
_ATTRIBUTE: Final = _structure(key=_KEY, stringValue=_Member(required=True, most=10_240))
_PARAMETER: Final = _structure(id=_KEY, attributes=_list_of(_ATTRIBUTE, required=True))
_PARAMETER_VALUE: Final = _structure(id=_KEY, stringValue=_Member(required=True, most=10_240))
_OPERATOR: Final = _structure(
    type=_Member(choices=frozenset({"BETWEEN", "EQ", "GE", "LE", "REF_EQ"})),
    values=_list_of(_TEXT),
)
_SELECTOR: Final = _structure(fieldName=_TEXT, operator=_OPERATOR)
_TAG: Final = _structure(
    key=_Member(required=True, least=1, most=128), value=_Member(required=True, most=256)
)
_DEFINITION: Final = _structure(
    pipelineId=_ID,
    pipelineObjects=_list_of(_OBJECT, required=True),
    parameterObjects=_list_of(_PARAMETER),
    parameterValues=_list_of(_PARAMETER_VALUE),
)

REQUESTS: Final[dict[str, _Member]] = {
    "ActivatePipeline": _structure(
        pipelineId=_ID,
        parameterValues=_list_of(_PARAMETER_VALUE),
        startTimestamp=_Member(kind=(int, float)),
    ),
    "AddTags": _structure(pipelineId=_ID, tags=_list_of(_TAG, required=True, most=10)),
    "CreatePipeline": _structure(
        name=_ID, uniqueId=_ID, description=_TEXT, tags=_list_of(_TAG, most=10)
    ),
    "DeactivatePipeline": _structure(pipelineId=_ID, cancelActive=_Member(kind=bool)),
    "DeletePipeline": _structure(pipelineId=_ID),
    "DescribeObjects": _structure(
        pipelineId=_ID,
        objectIds=_list_of(_ID, required=True),
        evaluateExpressions=_Member(kind=bool),
        marker=_TEXT,
    ),
    "DescribePipelines": _structure(pipelineIds=_list_of(_ID, required=True)),
    "EvaluateExpression": _structure(
        pipelineId=_ID, objectId=_ID, expression=_Member(required=True, most=20_971_520)
    ),
    "GetPipelineDefinition": _structure(pipelineId=_ID, version=_TEXT),
    "ListPipelines": _structure(marker=_TEXT),
    "PollForTask": _structure(
        workerGroup=_NEEDED,
        hostname=_Member(least=1),
        instanceIdentity=_structure(document=_TEXT, signature=_TEXT),
    ),
    "PutPipelineDefinition": _DEFINITION,
    "QueryObjects": _structure(
        pipelineId=_ID,
        sphere=_NEEDED,
        query=_structure(selectors=_list_of(_SELECTOR)),
        marker=_TEXT,
        limit=_Member(kind=int),
    ),
    "RemoveTags": _structure(pipelineId=_ID, tagKeys=_list_of(_TEXT, required=True)),
    "ReportTaskProgress": _structure(taskId=_TASK, fields=_list_of(_FIELD)),
    "ReportTaskRunnerHeartbeat": _structure(
        taskrunnerId=_ID, workerGroup=_TEXT, hostname=_Member(least=1)
    ),
    "SetStatus": _structure(pipelineId=_ID, objectIds=_list_of(_ID, required=True), status=_NEEDED),
    "SetTaskStatus": _structure(
        taskId=_TASK,
        taskStatus=_Member(required=True, choices=frozenset({"FAILED", "FALSE", "FINISHED"})),
        errorId=_TEXT,
        errorMessage=_LONG,
        errorStackTrace=_LONG,  # its bound is a setting: the sources disagree about it
    ),
    "ValidatePipelineDefinition": _DEFINITION,
}


def read_request(operation: str, params: Any) -> dict[str, Any]:
    """Return a copy of a request with those of its members which are not null.

    Raises InvalidRequestException if the request does not have the form of its operation.
    """
    read: dict[str, Any] = _read("The request", REQUESTS[operation], params)
    return read


def _read(name: str, member: _Member, value: Any) -> Any:
    if not isinstance(value, member.kind) or (isinstance(value, bool) and member.kind is not bool):
        raise invalid(f"{name} has the wrong type")
    if isinstance(value, dict):
        return _read_structure(member, value)
    if isinstance(value, str):
        _check_length(name, member, value)
        if _ILLEGAL.search(value):
            raise invalid(f"{name} has a character which is not legal in XML")
        if member.choices and value not in member.choices:
            raise invalid(f"{name} must be one of {', '.join(sorted(member.choices))}")
    elif isinstance(value, (int, float)) and not abs(value) <= _MAX_NUMBER:
        raise invalid(f"{name} is no number that it can be")
    elif isinstance(value, list) and member.item is not None:
        _check_length(name, member, value)
        return [_read(f"An item of {name}", member.item, item) for item in value]
    return value


def _check_length(name: str, member: _Member, value: str | list[Any]) -> None:
    if not member.least <= len(value) <= member.most:
        raise invalid(f"{name} must have a length from {member.least} to {member.most}")


def _read_structure(structure: _Member, value: dict[str, Any]) -> dict[str, Any]:
    read: dict[str, Any] = {}
    for key, member in structure.members.items():
        if value.get(key) is not None:
            read[key] = _read(key, member, value[key])
        elif member.required:
            raise invalid(f"{key} is missing")
    return read
