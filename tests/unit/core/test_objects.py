"""Objects and periods as the service writes them."""

from __future__ import annotations

import pytest

from aiodp._core.objects import parse_object, parse_objects, read_assignment
from aiodp._core.period import parse_period, split_period


def field(key, **value):
    return {"key": key, **value}


def test_an_object_without_a_name_has_its_id_for_one():
    """And no fields, where the service sends none."""
    nameless = parse_object({"id": "x"})
    assert (nameless.id, nameless.name, dict(nameless.fields)) == ("x", "x", {})
    assert parse_object({"id": "x", "name": "X"}).name == "X"


def test_an_object_shows_its_type_and_its_size():
    """In messages."""
    shell = parse_object({"id": "x", "fields": [field("type", stringValue="Shell")]})
    assert shell.type == "Shell"
    assert repr(shell) == "<Shell 'x', 1 fields>"


def test_a_field_is_read_as_a_period():
    """In seconds; None if there is none."""
    one = parse_object({"id": "x", "fields": [field("retryDelay", stringValue="10 minutes")]})
    assert one.period("retryDelay") == 600
    assert one.period("attemptTimeout") is None


def test_one_reference_is_asked_for_and_must_be_there_once():
    """None, several, and one that did not come along are errors that say so."""
    objects = parse_objects(
        {
            "a": {
                "id": "a",
                "fields": [
                    field("one", refValue="b"),
                    field("two", refValue="b"),
                    field("two", refValue="a"),
                    field("far", refValue="c"),
                    field("text", stringValue="b"),
                ],
            },
            "b": {"id": "b"},
        }
    )
    a, b = objects["a"], objects["b"]
    assert a.ref("one") is b
    assert a.refs("two") == (b, a)
    assert a.refs("none") == a.refs("text") == ()
    for key in ("none", "text"):
        with pytest.raises(LookupError, match=f"a has no field '{key}' that refers to an object"):
            a.ref(key)
    with pytest.raises(ValueError, match="a: field 'two' refers to 2 objects, not one"):
        a.ref("two")
    with pytest.raises(
        LookupError, match="a: field 'far' refers to 'c', which the service did not"
    ):
        a.ref("far")


def test_an_object_read_alone_refers_to_nothing_that_is_there():
    """What DescribeObjects gives comes without the others."""
    alone = parse_object({"id": "a", "fields": [field("one", refValue="b")]})
    with pytest.raises(LookupError, match="`describe` asks for it"):
        alone.ref("one")


@pytest.mark.parametrize("odd", [None, [], "text", 3])
def test_what_are_no_objects_is_said(odd):
    """`ValueError`, whatever it is."""
    with pytest.raises(ValueError, match="these are no objects of a pipeline"):
        parse_objects(odd)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"taskId": ""}, "its taskId is ''"),
        ({"taskId": 3}, "its taskId is 3"),
        ({"attemptId": None}, "its attemptId is None"),
        ({"attemptId": "B"}, "its attempt 'B' is not among its objects"),
        ({"objects": None}, "its attempt 'A' is not among its objects"),
    ],
)
def test_an_assignment_that_cannot_be_worked_on_is_said(changes, message):
    """Which of its parts is wrong."""
    answer = {"taskId": "T", "pipelineId": "P", "attemptId": "A", "objects": {"A": {"id": "A"}}}
    assignment = read_assignment(answer, 5.0)
    assert (assignment.task_id, assignment.assigned_at) == ("T", 5.0)
    assert assignment.attempt is assignment.objects["A"]
    assert assignment.instance == ("P", "A")
    assert assignment.extra == {
        "task": "T",
        "task_digest": "e632b7095b0bf32c",
        "pipeline": "P",
        "attempt": "A",
        "type": "",
    }
    with pytest.raises(ValueError, match=message):
        read_assignment(answer | changes, 5.0)


def test_attempts_of_one_instance_are_known_by_their_ids():
    """All up to the number of the attempt."""
    attempt_id = "@A_2026-01-01T00:00:00_Attempt=12"
    answer = {"taskId": "T", "pipelineId": "P", "attemptId": attempt_id}
    assignment = read_assignment({**answer, "objects": {attempt_id: {"id": attempt_id}}}, 5.0)
    assert assignment.instance == ("P", "@A_2026-01-01T00:00:00")
    assert str(assignment) == f"task {attempt_id} of P (task T)"


@pytest.mark.parametrize(
    ("text", "period", "seconds"),
    [
        ("1 minute", (1, "minute"), 60.0),
        ("15 Minutes", (15, "minute"), 900.0),
        ("1 hour", (1, "hour"), 3600.0),
        (" 2  DAYS ", (2, "day"), 172_800.0),
        ("3 weeks", (3, "week"), 1_814_400.0),
        ("1 month", (1, "month"), 2_592_000.0),
        ("1 year", (1, "year"), 31_536_000.0),
        ("999999999 minutes", (999_999_999, "minute"), 59_999_999_940.0),
    ],
)
def test_periods(text, period, seconds):
    """A number and a unit, in any case, singular or plural."""
    assert split_period(text) == period
    assert parse_period(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "0 minutes", "-1 day", "1.5 hours", "1hour", "1 second", "01 day", "9999999999 days"],
)
def test_what_is_no_period_is_said(text):
    """`ValueError` that shows it."""
    with pytest.raises(ValueError, match="is no period such as '10 minutes'"):
        parse_period(text)
