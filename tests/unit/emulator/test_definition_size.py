"""A definition that becomes too large as a whole is refused before anything is made of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from aiodp.emulator import Settings, load_definition
from aiodp.emulator._clock import ManualClock
from aiodp.emulator._definition import components
from aiodp.emulator._definition.expressions import count_words, template
from aiodp.emulator._definition.expressions.errors import ReasonError
from aiodp.emulator._definition.expressions.nodes import Name
from aiodp.emulator._definition.size import (
    MAX_BYTES,
    MAX_PARAMETER_VALUES,
    MAX_VALUES,
    MAX_WORDS,
    Size,
)
from aiodp.emulator._errors import ServiceError
from aiodp.emulator._server.locked import LockedService
from unit.emulator.service_kit import Kit

OPERATIONS = ("PutPipelineDefinition", "ValidatePipelineDefinition")


def wire(
    *objects: dict[str, Any], parameters: Any = (), values: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return the members of a request with this definition."""
    document = {"objects": objects, "parameters": list(parameters), "values": values or {}}
    given = load_definition(json.dumps(document))
    return dict(zip(("pipelineObjects", "parameterObjects", "parameterValues"), given, strict=True))


def default(**fields: Any) -> dict[str, Any]:
    """Return a Default object, from which all others inherit."""
    return {"id": "Default"} | fields


def heirs(count: int = 99) -> list[dict[str, Any]]:
    """Return objects that have nothing of their own but a type."""
    return [{"id": f"A{n}", "type": "ShellCommandActivity"} for n in range(count)]


def chain(count: int = 100, fields: int = 45) -> list[dict[str, Any]]:
    """Return objects of which each inherits from the one before."""
    return [
        {"id": f"A{n}", "parent": {"ref": f"A{n - 1}"}} | {f"my{n}_{m}": "x" for m in range(fields)}
        for n in range(count)
    ]


LISTS = [{"id": f"my{name}", "type": "String", "isArray": "true"} for name in "XYZ"]
THREE_LISTS = {f"my{name}": [f"{name}{n}" for n in range(9)] for name in "XYZ"}
TOO_LARGE = {
    "three lists multiply in inherited fields": (
        wire(
            default(**{f"my{n:02}": "#{myX}#{myY}#{myZ}" for n in range(45)}),
            *heirs(),
            parameters=LISTS,
            values=THREE_LISTS,
        ),
        f"{MAX_VALUES} values",
    ),
    "long texts are inherited": (
        wire(default(my00="x" * 10_000, my01="y" * 5000), *heirs()),
        None,
    ),
    "a text of many parameters": (
        wire(
            default(my00="#{myX}" * 1000),
            *heirs(),
            parameters=LISTS[:1],
            values={"myX": "x" * 1000},
        ),
        f"{MAX_BYTES} bytes",
    ),
    "a chain of parents": (wire(*chain()), f"{MAX_VALUES} values"),
    "the same field again and again": (
        wire(*({"id": f"A{n}", "my": ["x"] * (MAX_VALUES // 2 + 1)} for n in range(2))),
        f"{MAX_VALUES} values",
    ),
    "long expressions": (
        wire(*({"id": f"A{n}", "command": "#{" + f"{n}+" * 2500 + "1}"} for n in range(3))),
        f"{MAX_WORDS} names, values and signs",
    ),
    "values of parameters": (
        wire(parameters=LISTS[:1], values={"myX": ["x"] * (MAX_PARAMETER_VALUES + 1)}),
        f"{MAX_PARAMETER_VALUES} values and attributes",
    ),
    "what 100 objects of 50 fields have": (
        wire(*({"id": f"A{n}"} | {f"my{m}": "x" * 250 for m in range(50)} for n in range(100))),
        None,
    ),
}


class Made:
    """Counts the fields that are made with parameters filled in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.values = 0
        monkeypatch.setattr(components, "replace", self._replace)

    def _replace(self, given: Any, **changes: Any) -> Any:
        self.values += "value" in changes
        return replace(given, **changes)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(("request_", "limit"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_a_definition_has_limits_as_a_whole(operation, request_, limit, monkeypatch):
    """The refusal names the limit, nothing is stored, and no more was made than the limit."""
    kit = Kit()
    pipeline_id = kit.call("CreatePipeline", name="p", uniqueId="u")["pipelineId"]
    made = Made(monkeypatch)
    answer = kit.call(operation, pipelineId=pipeline_id, **request_)
    assert made.values <= MAX_VALUES
    if limit is None:
        assert "error" not in answer
        return
    assert answer["error"] == "InvalidRequestException"
    assert answer["message"].startswith("The pipeline definition is too large: it may have ")
    assert limit in answer["message"]
    assert kit.call("GetPipelineDefinition", pipelineId=pipeline_id)["pipelineObjects"] == []


def test_the_values_of_an_activation_are_within_the_limits_too(monkeypatch):
    """What is small without values may multiply by those that ActivatePipeline brings."""
    kit = Kit()
    pipeline_id = kit.call("CreatePipeline", name="p", uniqueId="u")["pipelineId"]
    request, _ = TOO_LARGE["three lists multiply in inherited fields"]
    values = request["parameterValues"]
    put = request | {"parameterValues": []}
    assert "error" not in kit.call("PutPipelineDefinition", pipelineId=pipeline_id, **put)
    made = Made(monkeypatch)
    answer = kit.call("ActivatePipeline", pipelineId=pipeline_id, parameterValues=values)
    assert answer["error"] == "InvalidRequestException"
    assert f"{MAX_VALUES} values" in answer["message"]
    assert made.values <= MAX_VALUES


def test_a_size_counts_values_and_bytes():
    """Both have a limit, and reaching it is not yet beyond it."""
    size = Size(2, 10)
    size.add(2, 10)
    with pytest.raises(ServiceError, match="may have 2 values"):
        size.add(1, 0)
    with pytest.raises(ServiceError, match="may have 10 bytes"):
        Size(2, 10).add(1, 11)


def test_an_expression_counts_once_however_often_it_is_written():
    """A text in quotes is one value; what is no expression, or never closed, has no words."""
    assert count_words(["#{a + 'b + c'} b", "#{a + 'b + c'}#{1}", "x y", "#{a", "#{f(@x)"]) == 4
    assert count_words(['#{f(@x, "y z")}']) == 7


def test_trees_are_kept_up_to_a_length():
    """The latest trees are kept, broken ones too; the limit is of what they were read from."""
    read: list[str] = []

    def parse(source: str) -> Name:
        read.append(source)
        if source == "no":
            raise ReasonError("no tree")
        return Name(name=source)

    trees = template.Trees(parse, 6)
    assert trees.get("aa") is trees.get("aa")
    for _ in range(2):
        with pytest.raises(ReasonError, match="no tree"):
            trees.get("no")
    trees.get("bb")
    trees.get("aa")
    trees.get("cc")
    assert read == ["aa", "no", "bb", "cc"]
    trees.get("aa")
    trees.get("bb")
    assert read == ["aa", "no", "bb", "cc"]
    trees.get("d" * 7)
    trees.get("d" * 7)
    assert read[-2:] == ["d" * 7] * 2


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_definition_is_examined_before_the_service_is_locked(operation, monkeypatch):
    """What a call needs no state for is done once, and not while others wait for the lock."""
    locked = LockedService(ManualClock(), Settings(quotas=None))
    pipeline_id = locked.perform("CreatePipeline", name="p", uniqueId="u")["pipelineId"]
    held: list[bool] = []

    def read(*given: Any) -> Any:
        held.append(locked._changed._is_owned())  # type: ignore[attr-defined]
        return inherit(*given)

    inherit = components._inherit
    monkeypatch.setattr(components, "_inherit", read)
    request, _ = TOO_LARGE["what 100 objects of 50 fields have"]
    answer = locked.request(operation, {"pipelineId": pipeline_id} | request)
    assert answer.outcome == "ok"
    assert held == [False] * 100


def test_the_values_of_an_activation_are_filled_in_before_the_service_is_locked(monkeypatch):
    """The same values again, in another activation, are not filled in again."""
    locked = LockedService(ManualClock(), Settings(quotas=None))
    pipeline_id = locked.perform("CreatePipeline", name="p", uniqueId="u")["pipelineId"]
    objects = [default(scheduleType="ondemand", my00="#{myX}"), *heirs(9)]
    for item in objects[1:]:
        item["command"] = "true"
    request = wire(*objects, parameters=LISTS[:1])
    locked.perform("PutPipelineDefinition", pipelineId=pipeline_id, **request)
    held: list[bool] = []

    def fill(*given: Any) -> Any:
        held.append(locked._changed._is_owned())  # type: ignore[attr-defined]
        return original(*given)

    original = components._fill
    monkeypatch.setattr(components, "_fill", fill)
    values = [{"id": "myX", "stringValue": "one"}]
    for _ in range(2):
        params = {"pipelineId": pipeline_id, "parameterValues": values}
        assert locked.request("ActivatePipeline", params).outcome == "ok"
    assert held == [False] * 10
    unknown = {"pipelineId": "df-NONE", "parameterValues": values}
    assert locked.request("ActivatePipeline", unknown).outcome == "PipelineNotFoundException"


@pytest.mark.parametrize(
    "request_",
    [wire(*heirs(101)), {"pipelineObjects": [{}]}, wire({"id": "A", "x": "#{"}), {}],
    ids=["fatal", "malformed", "with errors", "empty"],
)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_prepared_call_is_answered_as_any_other(operation, request_):
    """Preparing changes no answer, whatever is wrong with the request."""
    answers = []
    for prepare in (True, False):
        service = Kit().service
        made = service.perform("CreatePipeline", name="p", uniqueId="u")
        params = made | request_
        given = service.prepare(operation, params) if prepare else params
        answers.append(service.request(operation, given))
    assert answers[0] == answers[1]
