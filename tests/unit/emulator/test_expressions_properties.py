"""What holds for every expression."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from aiodp.emulator._definition.expressions import (
    ExpressionError,
    evaluate,
    has_expression,
    names,
    syntax_errors,
)
from unit.emulator.expression_kit import REF, things

OBJECTS = things(
    A={
        "n": "5",
        "d": "2011-05-24T17:10:00",
        "list": ("1", "b", "2.5"),
        "next": f"{REF}B",
        "again": "#{again}",
        "deep": "#{next.back.n}",
        "none": (),
    },
    B={"back": f"{REF}A", "n": "#{1 / 0}"},
)
NAMES = ["n", "d", "list", "next", "again", "deep", "none", "back", "unknown", "@id"]
FUNCTIONS = ["day", "format", "plusDays", "minusMonths", "makeDate"]
SIGNS = [*"+-*/^().,}'\\", "#{"]
LITERALS = ["0", "1", "7", "2.5", "99", "'YYYY-MM'", "'5'", '""']
TOKENS = NAMES + FUNCTIONS + SIGNS + LITERALS

soup = st.lists(st.sampled_from(TOKENS), max_size=12).map(" ".join)
atoms = st.sampled_from(["n", "d", "list", "1", "2.5", "'a'", "next.n", "deep", "*x"])
trees = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/^"), inner).map(" ".join),
        inner.map("({})".format),
        st.tuples(st.sampled_from(["day", "yesterday", "year"]), inner).map(
            "{0[0]}({0[1]})".format
        ),
        st.tuples(inner, inner).map("plusDays({0[0]}, {0[1]})".format),
    ),
    max_leaves=8,
)


def outcome(text):
    try:
        return evaluate(text, OBJECTS["A"])
    except ExpressionError as error:
        return str(error)


@settings(max_examples=300)
@given(st.one_of(st.text(), soup, soup.map("#{{{}}} x #{{n}}".format), trees.map("#{{{}}}".format)))
def test_every_text_has_a_value_or_an_expression_error(text):
    """Every text has a value or an `ExpressionError`, and the same one each time."""
    assert outcome(text) == outcome(text)
    assert isinstance(syntax_errors(text), list)
    assert isinstance(names(text), set)


@given(st.text())
def test_a_plain_text_is_its_own_value(text):
    """A text without expressions is its own value."""
    if not has_expression(text):
        assert outcome(text) == (text,)


@given(trees)
def test_a_well_formed_expression_has_no_syntax_error(tree):
    """Validation finds no fault in the syntax of a well-formed expression."""
    assert syntax_errors(f"#{{{tree}}}") == []


@given(st.one_of(soup, trees))
def test_what_validation_refuses_never_has_a_value(body):
    """What validation finds fault with never has a value."""
    text = f"#{{{body}}}"
    if syntax_errors(text):
        assert isinstance(outcome(text), str)


@given(st.integers(-(2**31), 2**31), st.integers(-(2**31), 2**31))
def test_integers_are_computed_exactly(left, right):
    """Integers add and multiply exactly, and division gives back what it took but the rest."""
    assert outcome(f"#{{{left} + {right}}}") == (str(left + right),)
    if right:
        (quotient,) = outcome(f"#{{{left} / {right}}}")
        rest = left - int(quotient) * right
        assert abs(rest) < abs(right)
        assert rest * left >= 0
