"""Joda-Time's format strings (its class DateTimeFormat)."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodp.emulator._definition.expressions.errors import ReasonError
from aiodp.emulator._definition.expressions.joda import format_joda

AFTERNOON = datetime(2011, 5, 24, 17, 3, 9, tzinfo=UTC)
MIDNIGHT = datetime(2011, 5, 4, tzinfo=UTC)
NEW_YEAR = datetime(2012, 1, 1, 12, tzinfo=UTC)  # a Sunday, so still in week 52 of 2011


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("G", "AD"),
        ("C", "20"),
        ("CCC", "020"),
        ("Y", "2011"),
        ("YY", "11"),
        ("YYY", "2011"),
        ("YYYY", "2011"),
        ("yyyyyy", "002011"),
        ("yy", "11"),
        ("xxxx", "2011"),
        ("w", "21"),
        ("e", "2"),
        ("E", "Tue"),
        ("EEE", "Tue"),
        ("EEEE", "Tuesday"),
        ("D", "144"),
        ("DDDD", "0144"),
        ("M", "5"),
        ("MM", "05"),
        ("MMM", "May"),
        ("MMMM", "May"),
        ("d", "24"),
        ("a", "PM"),
        ("K", "5"),
        ("hh", "05"),
        ("HH", "17"),
        ("kk", "17"),
        ("m", "3"),
        ("mm", "03"),
        ("ss", "09"),
        ("S", "0"),
        ("SSSS", "0000"),
        ("z", "UTC"),
        ("zzzz", "Coordinated Universal Time"),
        ("Z", "+0000"),
        ("ZZ", "+00:00"),
        ("ZZZ", "UTC"),
    ],
)
def test_each_letter_writes_its_part_of_the_date(pattern, text):
    """Each letter writes its part of the date, padded to as many digits as there are letters."""
    assert format_joda(AFTERNOON, pattern) == text


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("YYYY-MM-dd HH:mm:ss z", "2011-05-24 17:03:09 UTC"),
        ("YYYY-MM-dd'T'HH:mm:ss'Z'", "2011-05-24T17:03:09Z"),
        ("YYYY/MM/dd/HH", "2011/05/24/17"),
        ("yyyyMMdd", "20110524"),
        ("h 'o''clock' a", "5 o'clock PM"),
        ("''yy''", "'11'"),
        ("EEE, d MMM 'of' yy", "Tue, 24 May of 11"),
        ("'never closed yy", "never closed yy"),
        ("{(äöü)}", "{(äöü)}"),
    ],
)
def test_parts_stand_side_by_side_and_quotes_hold_text(pattern, text):
    """Parts stand side by side; quotes hold what is to be written as it is, two make one."""
    assert format_joda(AFTERNOON, pattern) == text


@pytest.mark.parametrize(
    ("date", "pattern", "text"),
    [
        (MIDNIGHT, "K h H k a", "0 12 0 24 AM"),
        (NEW_YEAR, "K h H k a", "0 12 12 12 PM"),
        (NEW_YEAR, "YYYY xxxx xx ww e D", "2012 2011 11 52 7 1"),
        (NEW_YEAR.replace(microsecond=123_456), "S SS SSS SSSS", "1 12 123 1230"),
        (datetime(2011, 9, 1, tzinfo=UTC), "MMM MMMM", "Sep September"),
        (datetime(7, 1, 1, tzinfo=UTC), "Y YY YYYY C", "7 07 0007 0"),
    ],
)
def test_hours_weeks_fractions_and_short_years_differ_at_their_edges(date, pattern, text):
    """Hours from 0 and from 1, years of weeks and of days, fractions and short years differ."""
    assert format_joda(date, pattern) == text


@pytest.mark.parametrize("pattern", ["b", "YYYY-MM-ddTHH", "\u212a" + "L", ""])
def test_an_unknown_letter_or_an_empty_pattern_is_an_error(pattern):
    """A letter which Joda-Time does not know, such as a bare T, is an error; so is no pattern."""
    with pytest.raises(ReasonError, match="format string"):
        format_joda(AFTERNOON, pattern)


@given(st.text(max_size=50), st.datetimes(timezones=st.just(UTC)))
def test_every_pattern_gives_a_text_or_an_error(pattern, date):
    """Every pattern gives a text or an error of the expected kind."""
    try:
        text = format_joda(date, pattern)
    except ReasonError as error:
        text = str(error)
    assert isinstance(text, str)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_written_date_reads_as_the_same_date(date):
    """What a complete pattern writes reads as the same date."""
    text = format_joda(date, "yyyy-MM-dd'T'HH:mm:ss.SSSZZ")
    assert datetime.fromisoformat(text) == date.replace(microsecond=date.microsecond // 1000 * 1000)
