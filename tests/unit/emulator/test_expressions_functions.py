"""The functions and operators of expressions, each with the Developer Guide's example."""

from __future__ import annotations

import pytest

from aiodp.emulator._definition.expressions import ExpressionError
from unit.emulator.expression_kit import REF, value

DATE = "2011-05-24T17:10:00"


@pytest.mark.parametrize(
    ("call", "result"),
    [
        ("day(d)", "24"),
        ("dayOfYear(d)", "144"),
        ("firstOfMonth(d)", "2011-05-01T17:10:00"),
        ("format(d,'YYYY-MM-dd HH:mm:ss z')", "2011-05-24 17:10:00 UTC"),
        ("hour(d)", "17"),
        ("makeDate(2011,5,24)", "2011-05-24T00:00:00"),
        ("makeDateTime(2011,5,24,14,21)", "2011-05-24T14:21:00"),
        ("midnight(d)", "2011-05-24T00:00:00"),
        ("minute(d)", "10"),
        ("month(d)", "5"),
        ("sunday(d)", "2011-05-22T17:10:00"),
        ("year(d)", "2011"),
        ("yesterday(d)", "2011-05-23T17:10:00"),
        ("minusYears(d,1)", "2010-05-24T17:10:00"),
        ("minusMonths(d,1)", "2011-04-24T17:10:00"),
        ("minusWeeks(d,1)", "2011-05-17T17:10:00"),
        ("minusDays(d,1)", "2011-05-23T17:10:00"),
        ("minusHours(d,1)", "2011-05-24T16:10:00"),
        ("minusMinutes(d,1)", "2011-05-24T17:09:00"),
        ("plusYears(d,1)", "2012-05-24T17:10:00"),
        ("plusMonths(d,1)", "2011-06-24T17:10:00"),
        ("plusWeeks(d,1)", "2011-05-31T17:10:00"),
        ("plusDays(d,1)", "2011-05-25T17:10:00"),
        ("plusHours(d,1)", "2011-05-24T18:10:00"),
        ("plusMinutes(d,1)", "2011-05-24T17:11:00"),
    ],
)
def test_functions_give_what_the_guides_examples_say(call, result):
    """Every function gives what the guide's example says (dates as the API writes them)."""
    assert value(f"#{{{call}}}", d=DATE) == result


@pytest.mark.parametrize(
    ("call", "date", "result"),
    [
        ("plusMonths(d,1)", "2012-01-31T00:00:00", "2012-02-29T00:00:00"),
        ("minusYears(d,1)", "2012-02-29T00:00:00", "2011-02-28T00:00:00"),
        ("plusDays(d,-1)", "2012-03-01T00:00:00", "2012-02-29T00:00:00"),
        ("sunday(d)", "2011-05-22T17:10:00", "2011-05-22T17:10:00"),
        ("sunday(d)", "2011-05-28T17:10:00", "2011-05-22T17:10:00"),
        ("midnight(d)", "2011-05-25T17:10:59Z", "2011-05-25T00:00:00"),
        ("minute(d)", "2011-05-25 17:10:59", "10"),
    ],
)
def test_months_and_years_keep_to_the_calendar(call, date, result):
    """Months and years keep to the calendar, a Sunday is its own; a Z or a space is a date's."""
    assert value(f"#{{{call}}}", d=date) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("format(minusMinutes(d,30),'YYYY-MM-dd hh:mm:ss')", "2011-05-24 04:40:00"),
        ("d.format('YYYY-MM-dd')", "2011-05-24"),
        ("minusDays(d, 1).format('dd')", "23"),
        ("d.plusDays(1).plusHours(1).hour() + 1", "19"),
        ("makeDate(year(d), month(d) + 1, 1)", "2011-06-01T00:00:00"),
        ("plusDays(d, n)", "2011-05-26T17:10:00"),
        ("d.format(\"yyyy'T'\")", "2011T"),
        (r"d.format('yyyy\'T\'')", "2011T"),
    ],
)
def test_calls_nest_and_may_be_written_as_methods(expression, result):
    """Calls nest, and the object before a dot is the first argument."""
    assert value(f"#{{{expression}}}", d=DATE, n="2") == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("1 + 2", "3"),
        ("1 - 2", "-1"),
        ("1 * 2", "2"),
        ("1 / 2", "0"),
        ("1.0 / 2", "0.5"),
        ("2 ^ 2", "4.0"),
        ('"hel" + "lo"', "hello"),
        ("-7 / 2", "-3"),
        ("7 / -2", "-3"),
        ("-7 / -2", "3"),
        ("2 + 3 * 4 - 6 / 2", "11"),
        ("(2 + 3) * 4", "20"),
        ("10 - 2 - 3", "5"),
        ("2 ^ 3 ^ 2", "512.0"),
        ("-2 ^ 2", "-4.0"),
        ("2 ^ -1", "0.5"),
        ("2 * 3 ^ 2", "18.0"),
        (".5 + 1", "1.5"),
        ("1 + 2 + 'a' + 1 + 2", "3a12"),
        ("'a' + 1.0", "a1.0"),
        ("'a' + makeDate(2011, 5, 24)", "a2011-05-24T00:00:00"),
        ('\'it\\\'s\' + " \\"so\\" \\\\"', 'it\'s "so" \\'),
        ("'\\d}'", "\\d}"),
    ],
)
def test_operators_have_their_usual_precedence(expression, result):
    """Operators have their usual ranks, integers truncate, `+` joins when a side is a string."""
    assert value(f"#{{{expression}}}") == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("n + 1", "6"),
        ("n + n", "10"),
        ("n + '1'", "51"),
        ("n - 1", "4"),
        ("x * n", "7.5"),
        ("n ^ 2", "25.0"),
        ("n", "5"),
        ("padded", "007"),
        ("padded + 0", "7"),
        ("long + 1", "9" * 30 + "1"),
        ("s + n", "a5"),
        ("format(d, 'YYYY') + 1", "20111"),
    ],
)
def test_fields_that_read_as_numbers(expression, result):
    """The text of a field is a number to an operator if it reads as one; other strings never."""
    fields = {"n": "5", "x": "1.5", "padded": "007", "long": "9" * 30, "s": "a", "d": DATE}
    assert value(f"#{{{expression}}}", **fields) == result


@pytest.mark.parametrize(
    ("expression", "result"),
    [
        ("0.0 * 1", "0.0"),
        ("10 ^ 6", "1000000.0"),
        ("10 ^ 7", "1.0E7"),
        ("1.25 * 10 ^ 20", "1.25E20"),
        ("1.0 / 1000", "0.001"),
        ("1.0 / 8000", "1.25E-4"),
        ("9223372036854775807", "9223372036854775807"),
    ],
)
def test_numbers_are_written_as_java_writes_them(expression, result):
    """A double always has a fraction, and an exponent when it is very large or small."""
    assert value(f"#{{{expression}}}") == result


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("nothing(d)", 'there is no function "nothing"'),
        ("day()", r"day\(DateTime\) needs 1 of them, not 0"),
        ("d.format('YYYY', 1)", r"format\(DateTime, String\) needs 2 of them, not 3"),
        ("day(5)", 'day needs a value of type DateTime, not "5"'),
        ("day(s)", '"a" is no DateTime'),
        ("day('2011-05-24T17:10:00+02:00')", "is no DateTime"),
        ("day('2011-02-30T00:00:00')", "is no date of the calendar"),
        ("format(d, 5)", "format needs a value of type String"),
        ("format(d, 'YYYY-MM-ddTHH')", 'the unknown letter "T"'),
        ("plusDays(d, 1.5)", "plusDays needs a value of type int"),
        ("plusDays(d, s)", "plusDays needs a value of type int"),
        ("plusDays(d, 2147483648)", "too large an int"),
        ("plusYears(d, 8000)", "plusYears leads to no date of the calendar"),
        ("plusHours(d, 2147483647 * 1)", "plusHours leads to no date"),
        ("makeDate(2011, 13, 1)", "makeDate leads to no date of the calendar"),
        ("'5' - 1", '"-" needs two numbers, not String and int'),
        ("s * 2", r'"\*" needs two numbers, not String and int'),
        ("r - 1", '"-" needs two numbers, not reference and int'),
        ("makeDate(2011,5,24) + 1", '"\\+" needs two numbers or a string, not DateTime and int'),
        ("1 / 0", "division by zero"),
        ("1 / 0.0", "division by zero"),
        ("0 ^ -1", "is no finite number"),
        ("(0-8) ^ 0.5", "is no finite number"),
        ("9^9^9^9", "is no finite number"),
        ("9223372036854775807 + 1", "the integer becomes too large"),
        ("9223372036854775808", "the integer becomes too large"),
        ("9" * 5000, "is too large a number"),
        ("9" * 5000 + ".0", "the number becomes too large"),
        ("10^308 * 10", "the number becomes too large"),
    ],
)
def test_what_has_no_value(expression, reason):
    """Wrong types, wrong counts and numbers or dates out of range are errors that say so."""
    with pytest.raises(ExpressionError, match=reason):
        value(f"#{{{expression}}}", d=DATE, s="a", r=f"{REF}x")
