"""Expressions in the fields of objects."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aiodp.emulator._definition.expressions import (
    ExpressionError,
    evaluate,
    evaluate_fields,
    has_expression,
    names,
    syntax_errors,
    template,
)
from aiodp.emulator._definition.fields import Field, Fields
from unit.emulator.expression_kit import REF, Thing, things, value

START = "2012-12-12T00:00:00"

PIPELINE = things(
    **{
        "@Copy_2012-12-12T00:00:00": {
            "@scheduledStartTime": START,
            "parent": f"{REF}Copy",
            "input": f"{REF}Table",
            "both": (f"{REF}Table", f"{REF}Other"),
            "myNode": f"{REF}Table",
            "@node": f"{REF}Table",
            "gone": f"{REF}Nobody",
            "errorMessage": "Cannot evaluate #{this}",
            "greeting": "hello #{name}",
            "name": "#{me}",
            "*myPassword": "secret",
        },
        "Copy": {"name": "Copy"},
        "Table": {
            "tableName": "orders",
            "path": "s3://#{bucket}/#{tableName}",
            "bucket": "b",
            "myNext": f"{REF}Other",
        },
        "Other": {"tableName": "people"},
    }
)
COPY = PIPELINE["@Copy_2012-12-12T00:00:00"]


@pytest.mark.parametrize(
    ("text", "results"),
    [
        ("#{@scheduledStartTime}", [START]),
        ("a #{ @scheduledStartTime } b", [f"a {START} b"]),
        ("#{@id}/#{parent.@id}", ["@Copy_2012-12-12T00:00:00/Copy"]),
        ("#{input.tableName}", ["orders"]),
        ("#{input}", ["Table"]),
        ("#{input.path}", ["s3://b/orders"]),
        ("#{myNode.myNext.tableName}", ["people"]),
        ("#{both.tableName}!", ["orders!", "people!"]),
        ("#{*myPassword}", ["secret"]),
        ("#{'pw ' + *myPassword}", ["pw secret"]),
        ("#{@scheduledStartTime.format('dd')}", ["12"]),
        ("#{'}' + \"}\"}}", ["}}}"]),
        ("#{'#{x}'}", ["#{x}"]),
        ("$#{1}#2}{", ["$1#2}{"]),
        ("#{greeting}", ["hello #{me}"]),
        ("#{errorMessage}", ["Cannot evaluate #{this}"]),
    ],
)
def test_fields_and_references_are_put_in_place(text, results):
    """Expressions read fields of their object and of those it refers to, and are put in place."""
    assert evaluate(text, COPY) == tuple(results)


@pytest.mark.parametrize("text", ["", "plain", "#", "{", "}", "# {a}", "$\\{a}", "a" * 20_000])
def test_a_text_without_expressions_is_returned_as_it_is(text):
    """What holds no `#{` is returned as it is, whatever its length."""
    assert evaluate(text, Thing({})) == (text,)
    assert not has_expression(text)
    assert syntax_errors(text) == []
    assert names(text) == set()


@pytest.mark.parametrize(
    ("text", "results"),
    [
        ("#{'this is ' + words}", ["this is one", "this is two"]),
        ("#{words} and #{numbers}", ["one and 1", "one and 2", "two and 1", "two and 2"]),
        ("#{words + numbers}", ["one1", "one2", "two1", "two2"]),
        ("#{numbers * 2}", ["2", "4"]),
        ("#{plusDays('2011-05-24T00:00:00', numbers).day()}", ["25", "26"]),
        ("#{nested}", ["<one>", "<two>", "three"]),
        ("x#{empty}", []),
    ],
)
def test_a_list_makes_a_text_of_each_item(text, results):
    """A list maps: each item makes a text, two lists make all pairs, nested ones are flat."""
    fields = {"words": ("one", "two"), "numbers": ("1", "2"), "empty": ()}
    thing = Thing(fields | {"nested": ("<#{words}>", "three")})
    assert evaluate(text, thing) == tuple(results)


def test_strings_of_fields_are_evaluated_and_lists_flattened():
    """Strings are evaluated and lists flattened; references, identity and runtime fields stay."""
    thing = Thing({"one": ("1", "2"), "two": ("3", "4"), "none": ()})
    verbatim = ("id", "name", "type", "@sphere", "@failureReason", "errorMessage")
    untouched: Fields = {key: (Field(key, "#{one}"),) for key in verbatim}
    untouched["parent"] = (Field("parent", "#{one}", is_ref=True),)
    listed: Fields = {
        "list": (Field("list", "#{one}"), Field("list", "#{two}"), Field("list", "5"))
    }
    gone = {"gone": (Field("gone", "#{none}"),)}
    assert evaluate_fields(untouched | listed | gone, thing) == untouched | {
        "list": tuple(Field("list", number) for number in "12345")
    }


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("#{nothing}", 'there is no field or parameter "nothing"'),
        ("#{input.nothing}", 'there is no field or parameter "nothing"'),
        ("#{gone.x}", '"gone" refers to "Nobody", which does not exist'),
        ("#{greeting.x}", '"greeting" is no reference'),
        ("#{'a'.x}", "only a reference has fields"),
        ("#{@node.tableName}", "do not lead through the runtime field @node"),
        ("#{}", "it is empty"),
        ("#{ }", "it is empty"),
        ("#{1 +}", "it ends too early"),
        ("#{a b}", 'syntax error at character 3: unexpected "b"'),
        ("#{a ~ b}", 'syntax error at character 3: unexpected "~"'),
        ("#{it's}", "never closed"),
        ("#{a", "never closed"),
        ("ok #{name} #{", "never closed"),
        ("#{format(#{a}, 'YYYY')}", "unexpected"),
    ],
)
def test_what_cannot_be_evaluated(text, reason):
    """Unknown names, broken chains and broken syntax are errors that name the expression."""
    with pytest.raises(ExpressionError, match=reason) as caught:
        evaluate(text, COPY)
    assert caught.value.expression in text
    assert caught.value.expression in str(caught.value)


def test_a_cycle_is_named():
    """Fields that need each other are an error, also across objects made anew when followed."""
    objects = {"A": {"@id": "A", "x": "#{b.y}", "b": f"{REF}B"}}
    objects["B"] = {"@id": "B", "y": "#{a.x}", "a": f"{REF}A"}

    class Fresh(Thing):
        def follow(self, object_id):
            return Fresh(objects[object_id])

    with pytest.raises(ExpressionError, match=r"it refers to itself: x > y > x"):
        evaluate("#{x}", Fresh(objects["A"]))


def test_the_same_name_in_another_object_is_no_cycle():
    """A field may take its value from a field of the same name elsewhere."""
    objects = things(A={"x": "a #{next.x}", "next": f"{REF}B"}, B={"x": "b"})
    assert evaluate("#{x}", objects["A"]) == ("a b",)


class Deep(Thing):
    """Each object refers to another without an end, and none says who it is."""

    def __init__(self):
        super().__init__({"x": "#{next.x}#{next.x}", "next": f"{REF}next"})

    def follow(self, object_id):
        del object_id
        return Deep()


@pytest.mark.parametrize(
    ("text", "thing"),
    [
        ("#{" + "(" * 10_230 + "}", Thing({})),
        ("#{" + "(" * 5_000 + "1" + ")" * 5_000 + "}", Thing({})),
        ("#{" + "-" * 10_000 + "1}", Thing({})),
        ("#{1" + "^1" * 5_000 + "}", Thing({})),
        ("#{" + "day(" * 2_000 + "1" + ")" * 2_000 + "}", Thing({})),
        ("#{a" + ".a" * 5_000 + "}", Thing({"a": f"{REF}a"})),
        ("#{9^9^9^9}", Thing({})),
        ("#{x}", Deep()),
        ("#{x0}", Thing({f"x{n}": f"#{{x{n + 1}}}" for n in range(60)} | {"x60": "1"})),
        ("#{x0}", Thing({f"x{n}": f"#{{x{n + 1}}}" * 2 for n in range(40)} | {"x40": ""})),
        ("#{x}" * 2, Thing({"x": "a" * 10_000})),
        ("#{x + x}", Thing({"x": "ä" * 5_000})),
        ("#{x}" * 4, Thing({"x": ("a",) * 50})),
        ("#{" + "'" * 10_237, Thing({})),
        ("#{" + "\\'" * 5_000 + "}", Thing({})),
    ],
)
def test_depth_cycles_growth_and_cost_have_limits(text, thing):
    """Depth, cycles, growth and cost have limits, and beyond them an error of the usual kind."""
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, thing)
    assert len(str(caught.value)) < 400


def test_long_flat_texts_are_fine():
    """A long sum or a text of many expressions is no deep one."""
    assert value("#{1" + "+1" * 4_000 + "}") == "4001"
    assert value("#{x}" * 2_000, x="a") == "a" * 2_000
    assert value("#{" + "(" * 49 + "1" + ")" * 49 + "}") == "1"


def test_results_may_be_as_long_as_a_field():
    """10,240 bytes are the limit of a result, unless another is given."""
    assert len(value("#{x}", x="a" * 10_240)) == 10_240
    with pytest.raises(ExpressionError, match="exceeds 10240 bytes"):
        value("a#{x}", x="a" * 10_240)
    assert evaluate("a#{x}", Thing({"x": "a" * 10_240}), max_bytes=20_000) == ("a" * 10_241,)


def test_errors_do_not_tell_values_of_parameters():
    """A mistake in arithmetic does not show what an encrypted parameter holds."""
    with pytest.raises(ExpressionError) as caught:
        value("#{*pw - 1}", **{"*pw": "secret"})
    assert "secret" not in str(caught.value)


def test_every_broken_expression_of_a_text_is_reported():
    """Validation hears of every broken expression of a text, without any object."""
    assert syntax_errors("#{a.b.format('YYYY')} #{*c * *d} #{@x}") == []
    reasons = syntax_errors("#{1 +} #{foo(day(), 1)} #{a} #{b.day(1)} #{c")
    assert [reason.split(": ", 1)[1] for reason in reasons] == [
        "syntax error: it ends too early",
        'there is no function "foo"',
        "day(DateTime) needs 1 of them, not 0",
        "day(DateTime) needs 1 of them, not 2",
        'its "#{" is never closed',
    ]


def test_the_first_name_of_each_chain_is_returned():
    """The first name of each chain, also before the place where a text breaks."""
    text = "#{a.b + *c * 2} #{format(@d.plusDays(e), 'f')} #{g h} #{i"
    assert names(text) == {"a", "*c", "@d", "e"}


def test_a_text_with_a_brace_may_need_evaluation():
    """Whatever holds `#{` may need evaluation."""
    assert has_expression("a #{b}")
    assert has_expression("#{")


def test_lark_is_imported_late():
    """The emulator starts without lark; only an expression needs it."""
    package = "aiodp.emulator._definition.expressions"
    code = f"import sys, aiodp.emulator, {package} as e; e.syntax_errors('x')"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; print('lark' in sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "False"


def test_without_lark_an_expression_says_what_to_install(monkeypatch):
    """Without lark the first expression says what to install."""
    monkeypatch.setitem(sys.modules, "lark", None)
    monkeypatch.delitem(
        sys.modules, "aiodp.emulator._definition.expressions.grammar", raising=False
    )
    monkeypatch.setattr(template, "_TREES", template.Trees(template._parse, 0))
    with pytest.raises(ModuleNotFoundError, match=r'pip install "aiodp\[emulator\]"'):
        value("#{1}")
