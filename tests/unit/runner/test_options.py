"""TaskRunner's arguments, and its small parts."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock

import pytest
from aiobotocore.session import get_session

from aiodp import PipelineObject, Quota, Ref, TaskFailed, TaskRunner
from aiodp._core.objects import parse_object, parse_objects, read_assignment
from aiodp._core.period import parse_period
from aiodp._core.text import error_members
from aiodp._runner.result import error_id_of, message_of, stack_trace_of

if TYPE_CHECKING:
    from collections.abc import Callable


async def work(task): ...


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"worker_group": ""}, "worker_group must be a str of 1 to 1,024 characters, not 0 char"),
        ({"worker_group": "x" * 1025}, "not 1,025 characters"),
        ({"worker_group": "a\x00b"}, r"worker_group holds the character '\\x00'"),
        ({"worker_group": None}, "worker_group must be a str"),
        ({"max_concurrency": 0}, "max_concurrency must be a whole number of at least 1, not 0"),
        ({"max_concurrency": True}, "max_concurrency must be a whole number"),
        ({"max_concurrency": 1.5}, "max_concurrency must be a whole number"),
        ({"taskrunner_id": ""}, "taskrunner_id must be a str"),
        ({"hostname": "x" * 2000}, "hostname must be a str of 1 to 1,024 characters"),
        ({"drain_timeout": -1}, "drain_timeout must not be negative, but is -1 s"),
        ({"drain_timeout": "soon"}, "drain_timeout must be seconds"),
        ({"quota": Quota(rate=0.001)}, "Quota.rate=0.001.* cannot keep a single task alive"),
        ({"interval": 400}, "interval .400 s. must be shorter than lease_timeout"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    """`ValueError` names the argument, the value and the limit, before anything is sent."""
    with pytest.raises(ValueError, match=message):
        TaskRunner(get_session(), **{"worker_group": "workers", "handler": work} | options)


def test_bad_types_are_refused():
    """`TypeError` for what is no session, no handler and no quota."""
    with pytest.raises(TypeError, match="session must be a session of aiobotocore"):
        TaskRunner(None, worker_group="workers", handler=work)
    with pytest.raises(TypeError, match="a handler must be a function of a task, not 'work'"):
        TaskRunner(get_session(), worker_group="workers", handler="work")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="quota must be"):
        TaskRunner(get_session(), worker_group="w", handler=work, quota=10)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unexpected keyword"):
        TaskRunner(get_session(), worker_group="w", handler=work, pace=10)  # type: ignore[call-arg]


def generator(task):
    yield task


async def asynchronous_generator(task):
    yield task


@pytest.mark.parametrize("handler", [generator, asynchronous_generator, partial(generator, None)])
def test_generators_are_no_handlers(handler):
    """One stray `yield`, and nothing of the work would be done."""
    with pytest.raises(TypeError, match="must not be a generator"):
        TaskRunner(get_session(), worker_group="workers", handler=handler)


class Worker:
    async def of_a_task(self, task): ...

    async def __call__(self, task): ...


class OfEverything:
    def __call__(self): ...


def without_arguments(): ...


def with_two(task, session): ...


@pytest.mark.parametrize(
    ("handler", "message"),
    [
        (without_arguments, r"without_arguments\(\) cannot be called with a task alone"),
        (lambda: None, r"<lambda>\(\) cannot be called"),
        (with_two, r"with_two\(task, session\) cannot be called"),
        (Worker.of_a_task, r"Worker.of_a_task\(self, task\) cannot be called"),
        (OfEverything(), r"OfEverything\(\) cannot be called"),
        (partial(work, None), r"work\(\) cannot be called"),
        (Worker, "not the class Worker: register an object of it"),
        (type("X", (), {}), "not the class X"),
        (["work"], "a handler must be a function of a task, not .'work'."),
    ],
)
def test_what_cannot_be_called_with_a_task_is_no_handler(handler, message):
    """It is said when it is registered: later, every task would fail of it."""
    with pytest.raises(TypeError, match=message):
        TaskRunner(get_session(), worker_group="workers", handler=handler)
    with pytest.raises(TypeError, match=message):
        TaskRunner(get_session(), worker_group="workers").activity("SqlActivity")(handler)


@pytest.mark.parametrize(
    "handler",
    [
        lambda _, session=None: session,
        lambda *arguments: arguments,
        partial(with_two, session=None),
        Worker(),
        Worker().of_a_task,
        print,
        max,  # it has no signature
        AsyncMock(),
    ],
)
def test_whatever_a_task_can_be_given_to_is_a_handler(handler):
    """Functions, methods, objects, built-in functions, mocks."""
    TaskRunner(get_session(), worker_group="workers").activity("SqlActivity")(handler)


def test_a_coroutine_is_no_handler():
    """The function was called where it was to be named."""
    coroutine = work(None)
    with pytest.raises(TypeError, match="a coroutine: give the function itself, do not call it"):
        TaskRunner(get_session(), worker_group="workers", handler=coroutine)  # type: ignore[arg-type]
    coroutine.close()


def test_a_handler_whose_signature_cannot_be_told_is_one():
    """Python 3.14 evaluates annotations then, also those that are there for type checking alone."""

    class Handler:
        @property
        def __signature__(self):
            return SomeType  # type: ignore[name-defined] # noqa: F821

        def __call__(self, task): ...

    TaskRunner(get_session(), worker_group="workers", handler=Handler())


def test_an_activity_without_parentheses_is_told_what_to_write():
    """`@runner.activity` alone would take the function for the name of a type."""
    runner = TaskRunner(get_session(), worker_group="workers")
    for decorated in (work, Worker, Worker()):
        with pytest.raises(TypeError, match=r'write @runner.activity\("ShellCommandActivity"\)'):
            runner.activity(decorated)  # type: ignore[arg-type]


def test_handlers_of_types_are_checked():
    """One for each type; a limit is a whole number."""
    runner = TaskRunner(
        get_session(),
        worker_group="workers",
        drain_timeout=timedelta(minutes=1),
        quota=Quota(rate=1),
    )
    assert runner.activity("CopyActivity", max_concurrency=2)(work) is work
    with pytest.raises(ValueError, match="'CopyActivity' has a handler already"):
        runner.activity("CopyActivity")(work)
    with pytest.raises(ValueError, match="max_concurrency must be a whole number"):
        runner.activity("SqlActivity", max_concurrency=0)
    with pytest.raises(ValueError, match="type_name must be a str"):
        runner.activity("")
    with pytest.raises(TypeError, match="a handler must be a function"):
        runner.activity("SqlActivity")(None)  # type: ignore[type-var]


def test_names_are_made_up_if_not_given():
    """Two runners of one process are two to the service."""
    first, second = (TaskRunner(get_session(), worker_group="w", handler=work) for _ in range(2))
    assert first.taskrunner_id != second.taskrunner_id
    assert first.worker_group == "w"
    assert repr(first) == "<TaskRunner of 'w', new, 0 running>"
    assert first.tasks == ()


def test_objects():
    """Repeated keys are lists; a stringValue goes before a refValue; what is missing is None."""
    objects = parse_objects(
        {
            "a": {
                "id": "a",
                "fields": [
                    {"key": "x", "stringValue": "1"},
                    {"key": "x", "refValue": "b"},
                    {"key": "x", "stringValue": "2", "refValue": "b"},
                    {"key": "once", "stringValue": ""},
                    {"key": "period", "stringValue": "3 Days"},
                ],
            },
            "b": {"id": "b", "name": "B", "fields": None},
        }
    )
    one = objects["a"]
    assert one.name == "a"
    assert one.fields["x"] == ["1", Ref("b"), "2"]
    assert one.texts("x") == ("1", "2")
    assert one.refs("x") == (objects["b"],)
    assert one.ref("x") is objects["b"]
    assert (one.text("once"), one.text("once", "3")) == ("", "")
    assert (one.text("never", None), one.text("never", "3")) == (None, "3")
    assert one.period("period") == 3 * 86_400
    assert one.period("never") is None
    assert one.type == ""
    assert repr(objects["b"]) == "<PipelineObject 'b', 0 fields>"
    with pytest.raises(ValueError, match="a: field 'x' has 2 values, not one"):
        one.text("x")
    with pytest.raises(ValueError, match="is no period"):
        one.period("once")
    with pytest.raises(TypeError):
        one.fields["new"] = "value"  # type: ignore[index]


def test_a_field_that_has_not_what_is_asked_for_is_named():
    """`LookupError` names the field and what it has, and tells no value."""
    data = (
        ("command", "stringValue", "secret"),
        ("input", "refValue", "b"),
        ("@sphere", "stringValue", "x"),
    )
    fields = [{"key": key, kind: value} for key, kind, value in data]
    one = parse_objects({"a": {"id": "a", "fields": fields}})["a"]
    cases: list[tuple[Callable[[str], object], str, str]]
    cases = [
        (one.text, "comand", "'comand' that has a text: its fields are command, input"),
        (one.ref, "comand", "'comand' that refers to an object: its fields are command, input"),
        (one.text, "input", "'input' that has a text: it refers to an object, see `ref`"),
        (one.ref, "command", "'command' that refers to an object: it has a text, see `text`"),
    ]
    for ask, key, message in cases:
        with pytest.raises(LookupError, match=f"^a has no field {re.escape(message)}$"):
            ask(key)
    empty = PipelineObject("a", "a", {})
    with pytest.raises(LookupError, match="a has no field 'x' that has a text: it has no fields"):
        empty.text("x")
    assert (empty.texts("x"), empty.refs("x"), one.texts("input")) == ((), (), ())


@pytest.mark.parametrize(
    "odd",
    [None, 3, "text", {}, {"fields": []}, {"id": "a", "fields": [3]}, {"id": "a", "fields": [{}]}],
)
def test_what_is_no_object_is_said(odd):
    """`ValueError`, whatever it is."""
    with pytest.raises(ValueError, match="this is no object of a pipeline"):
        parse_object(odd)


def test_assignments():
    """What an attempt is one of, and what logs say of it."""
    answer = {
        "taskId": "T" * 1000,
        "pipelineId": "df-1",
        "attemptId": "@A_2026-01-01T00:00:00_Attempt=12",
        "objects": {"@A_2026-01-01T00:00:00_Attempt=12": {"id": "x", "fields": []}},
    }
    one = read_assignment(answer, 5.0)
    assert one.instance == ("df-1", "@A_2026-01-01T00:00:00")
    assert str(one) == "task @A_2026-01-01T00:00:00_Attempt=12 of df-1 (task TTTTTTTT…TTTTTTTT)"
    assert one.extra["task"] == "TTTTTTTT…TTTTTTTT"
    assert one.extra["task_digest"] == hashlib.sha256(b"T" * 1000).hexdigest()[:16]
    twice = {"id": "x", "fields": [{"key": "type", "stringValue": text} for text in "ab"]}
    with pytest.raises(ValueError, match="field 'type' has 2 values"):
        read_assignment({**answer, "objects": {answer["attemptId"]: twice}}, 5.0)
    with pytest.raises(ValueError, match="its pipelineId is None"):
        read_assignment({**answer, "pipelineId": None}, 5.0)


def test_task_failed_checks_its_id():
    """`ValueError` where it is raised, and not when it is sent."""
    assert error_id_of(TaskFailed("x")) == "TaskFailed"
    assert error_id_of(TaskFailed("x", error_id="Own")) == "Own"
    with pytest.raises(ValueError, match="begins with 'Service_'"):
        TaskFailed("x", error_id="Service_x")
    with pytest.raises(ValueError, match="1 to 1,024 characters"):
        TaskFailed("x", error_id="")


class Evil(Exception):  # noqa: N818
    """Raises wherever it is looked at."""

    def __str__(self):
        raise ValueError("str")

    def __repr__(self):
        raise ValueError("repr")


def test_any_exception_can_be_told():
    """Evil ones, with evil causes, make members that the service accepts."""
    for name in ("", "\x01", "x" * 5000, "Service_", "Service_" * 200):
        error = type(name, (Evil,), {})()
        error.__cause__ = Evil()
        members = error_members(error_id_of(error), message_of(error), stack_trace_of(error))
        assert 1 <= len(members["errorId"]) <= 1024
        assert not members["errorId"].startswith("Service_")
        assert members["errorMessage"]
        assert len(members["errorStackTrace"]) <= 1024
        for text in members.values():
            text.encode()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10 minutes", 600), ("1 Hour", 3600), ("2 DAYS", 172_800), (" 1  week ", 604_800)],
)
def test_periods(text, seconds):
    """Any case, singular or plural."""
    assert parse_period(text) == seconds
