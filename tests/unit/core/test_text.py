"""Strings as the service takes them and as messages show them."""

from __future__ import annotations

import pytest

from aiodp._core.text import (
    check_error_id,
    checked_string,
    error_members,
    illegal_character,
    replace_illegal,
    shorten,
    shown,
)


@pytest.mark.parametrize("text", ["\t\n\r ", "\ud7ff", "\ue000", "\ufffd", "\U00010000\U0010ffff"])
def test_legal_characters_are_kept(text):
    """The ends of each range of the API's pattern."""
    assert illegal_character(text) is None
    assert replace_illegal(text) == text
    assert checked_string("name", text) == text


@pytest.mark.parametrize("bad", ["\x00", "\x08", "\x0b", "\x1f", "\ud800", "\ufffe"])
def test_illegal_characters_are_found_and_replaced(bad):
    """The first one is named."""
    assert illegal_character(f"a{bad}\x01b") == bad
    assert replace_illegal(f"a{bad}{bad}b") == "a\ufffd\ufffdb"
    with pytest.raises(ValueError, match="name holds the character"):
        checked_string("name", f"a{bad}b")


@pytest.mark.parametrize(
    ("text", "what"),
    [("", "0 characters"), ("x" * 1025, "1,025 characters"), (7, "7"), (None, "None")],
)
def test_strings_have_1_to_1024_characters(text, what):
    """Both bounds are allowed themselves."""
    assert checked_string("name", "x") == "x"
    assert checked_string("name", "x" * 1024) == "x" * 1024
    with pytest.raises(
        ValueError, match=f"name must be a str of 1 to 1,024 characters, not {what}"
    ):
        checked_string("name", text)


def test_messages_show_forty_characters_of_a_value():
    """With an ellipsis in the place of the rest."""
    assert shown("x" * 38) == "'" + "x" * 38 + "'"
    assert shown("x" * 39) == "'" + "x" * 38 + "…"
    assert len(shown("x" * 1000)) == 40


def test_task_ids_are_shortened_beyond_24_characters():
    """Eight characters of each end are kept."""
    assert shorten("x" * 24) == "x" * 24
    assert shorten("a" * 12 + "b" * 13) == "aaaaaaaa…bbbbbbbb"


def test_the_members_of_an_error_are_cut_to_what_the_service_takes():
    """10,240 bytes of the message from its start, 1,024 characters of the trace from its end."""
    assert error_members(None, None, None) == {}
    members = error_members("id", "é" * 6000, "a" + "b" * 1024)
    assert members == {
        "errorId": "id",
        "errorMessage": "é" * 5120,
        "errorStackTrace": "b" * 1024,
    }
    assert error_members(None, "x" + "é" * 6000, None) == {"errorMessage": "x" + "é" * 5119}
    assert error_members(None, "\x00", "\x01") == {
        "errorMessage": "\ufffd",
        "errorStackTrace": "\ufffd",
    }


def test_error_ids_are_not_the_services_own():
    """Its own begin with `Service_`."""
    assert check_error_id("Own_Service_") == "Own_Service_"
    with pytest.raises(ValueError, match="begins with 'Service_'"):
        check_error_id("Service_x")
    with pytest.raises(ValueError, match="1 to 1,024 characters"):
        check_error_id("")
