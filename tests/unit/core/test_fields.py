"""Fields: conversions, limits, and which value is sent when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodp import Ref
from aiodp._core.fields import PendingFields


class Color(StrEnum):
    RED = "red"


class Level(IntEnum):
    LOW = 1


def sent(**fields):
    pending = PendingFields()
    pending.update(fields)
    return pending.snapshot()[1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        ("grün 🙂\tx\r\n", "grün 🙂\tx\r\n"),
        (50, "50"),
        (-1, "-1"),
        (0.5, "0.5"),
        (1e300, "1e+300"),
        (True, "true"),
        (False, "false"),
        (Color.RED, "red"),
        (Level.LOW, "1"),
        (datetime(2012, 12, 12, 1, 2, 3, 999999), "2012-12-12T01:02:03"),  # noqa: DTZ001
        (datetime(2012, 12, 12, 1, 2, 3, tzinfo=UTC), "2012-12-12T01:02:03"),
        (datetime(2012, 12, 12, 1, tzinfo=timezone(timedelta(hours=2))), "2012-12-11T23:00:00"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00"),
    ],
)
def test_scalars_are_sent_as_the_service_writes_them(value, text):
    """Each type has one form on the wire."""
    assert sent(key=value) == [{"key": "key", "stringValue": text}]


def test_references_and_sequences():
    """A reference is a refValue; a sequence repeats its key."""
    assert sent(input=Ref("MyData")) == [{"key": "input", "refValue": "MyData"}]
    assert sent(step=["a", 2, Ref("B")]) == [
        {"key": "step", "stringValue": "a"},
        {"key": "step", "stringValue": "2"},
        {"key": "step", "refValue": "B"},
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"": "x"}, "must not be empty"),
        ({"k" * 257: "x"}, "257 bytes, the limit is 256"),
        ({"é" * 129: "x"}, "258 bytes, the limit is 256"),
        ({1: "x"}, "must be a str"),
        ({"@status": "x"}, "the service's own"),
        ({"k": "v" * 10_241}, "10,241 bytes, the limit is 10,240"),
        ({"k": "é" * 5_121}, "10,242 bytes, the limit is 10,240"),
        ({"k": "a\x00b"}, r"'\\x00'"),
        ({"k": "a\x1bb"}, r"'\\x1b'"),
        ({"k": "\ud800"}, r"'\\ud800'"),
        ({"k\x07": "v"}, r"'\\x07'"),
        ({"k": None}, "NoneType"),
        ({"k": b"bytes"}, "bytes"),
        ({"k": {"a": 1}}, "dict"),
        ({"k": object()}, "object"),
        ({"k": [["nested"]]}, "list"),
        ({"k": float("nan")}, "not a finite number"),
        ({"k": float("inf")}, "not a finite number"),
        ({"k": []}, "empty sequence"),
        ({f"k{i}": i for i in range(51)}, "52 fields"),
        ({"k": list(range(51))}, "52 fields"),
        ({f"k{i}": "x" * 8000 for i in range(2)}, "16,009 bytes"),
        ([("k", "v")], "must be a mapping"),
    ],
)
def test_what_the_service_would_refuse_is_refused_here(fields, message):
    """The error names the value and the limit, and nothing is changed."""
    pending = PendingFields()
    pending.update({"kept": 1})
    with pytest.raises(ValueError, match=message):
        pending.update(fields)
    assert pending.snapshot()[1] == [{"key": "kept", "stringValue": "1"}]


@pytest.mark.parametrize("bad", ["", "x" * 257, "a\x00", 7])
def test_a_reference_needs_a_possible_id(bad):
    """A Ref to what no object can be called is refused when it is made."""
    with pytest.raises(ValueError, match="Ref"):
        Ref(bad)


def test_limits_themselves_are_allowed():
    """50 fields, 256-byte names, 10,240-byte values and 15,360 bytes in all pass."""
    assert len(sent(**{f"k{i}": i for i in range(50)})) == 50
    sent(**{"k" * 256: "x"})
    sent(k="v" * 10_240)
    sent(a="v" * 10_240, b="v" * (15_360 - 10_240 - 2))


def test_the_limits_hold_for_all_that_waits():
    """Two updates that fit alone but not together: the second is refused."""
    pending = PendingFields()
    pending.update({"a": "x" * 10_000})
    with pytest.raises(ValueError, match="20,002 bytes"):
        pending.update({"b": "x" * 10_000})
    pending.update({"a": "short", "b": "x" * 10_000})


def test_the_newest_value_wins_and_is_sent_until_it_is_settled():
    """A settled report forgets what it carried, not what was set meanwhile."""
    pending = PendingFields()
    pending.update({"a": 1, "b": 1})
    version, fields = pending.snapshot()
    pending.update({"b": 2})
    assert pending.snapshot()[1] == [
        {"key": "a", "stringValue": "1"},
        {"key": "b", "stringValue": "2"},
    ]
    pending.acknowledge(version)
    assert len(fields) == 2
    assert pending.snapshot()[1] == [{"key": "b", "stringValue": "2"}]
    pending.acknowledge(pending.snapshot()[0])
    assert len(pending) == 0


@given(st.dictionaries(st.text(), st.text() | st.floats() | st.integers() | st.booleans()))
def test_no_text_is_ever_half_accepted(fields):
    """Whatever is set is either refused with a ValueError or fit for the wire."""
    pending = PendingFields()
    try:
        pending.update(fields)
    except ValueError:
        assert len(pending) == 0
    else:
        for field in pending.snapshot()[1]:
            assert 1 <= len(field["key"].encode()) <= 256
            assert len(field["stringValue"].encode()) <= 10_240
