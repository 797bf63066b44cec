"""What expressions may take is counted before it is done: steps and bytes, never seconds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodp.emulator._definition.components import DEFAULT
from aiodp.emulator._definition.expressions import ExpressionError, Work, evaluate_fields
from aiodp.emulator._definition.expressions.cost import Costs, TooCostlyError
from aiodp.emulator._definition.expressions.errors import ReasonError
from aiodp.emulator._definition.expressions.template import words
from aiodp.emulator._definition.fields import Field, Fields
from aiodp.emulator._definition.size import MAX_STEPS
from unit.emulator.service_kit import Kit
from unit.emulator.test_definition_size import LISTS, wire

if TYPE_CHECKING:
    from collections.abc import Mapping

REFUSED = "The pipeline definition is too large: it may have expressions of 50000 steps"
DOUBLING = {"f0": "1"} | {f"f{n}": "#{" + "+".join([f"f{n - 1}"] * 4) + "}" for n in range(1, 41)}


class Object:
    """An object with fields as a dictionary; others are followed by their names."""

    def __init__(self, name: str, everything: dict[str, Fields]) -> None:
        self._name = name
        self._everything = everything

    def field(self, name: str) -> tuple[Field, ...] | None:
        """Return a field."""
        if name == "@id":
            return (Field("@id", self._name),)
        return self._everything[self._name].get(name)

    def follow(self, object_id: str) -> Object | None:
        """Return another object."""
        known = object_id in self._everything
        return Object(object_id, self._everything) if known else None


class Counted(Work):
    """Work without a limit, whose steps can be read."""

    steps = 0

    def spend(self, steps: int) -> None:
        """Count."""
        self.steps += steps

    def read(self, source: str) -> None:
        """Count the words of a source without looking whether they were read before."""


def made(**objects: Mapping[str, str | list[str]]) -> dict[str, Fields]:
    """Return objects; a value that begins with `@` refers to the object of the rest."""
    return {
        name: {
            key: tuple(
                Field(key, value.removeprefix("@"), is_ref=value.startswith("@"))
                for value in ([values] if isinstance(values, str) else values)
            )
            for key, values in fields.items()
        }
        for name, fields in objects.items()
    }


def steps_of(name: str, everything: dict[str, Fields]) -> int:
    """Return the steps that the evaluation of an object takes."""
    work = Counted()
    evaluate_fields(everything[name], Object(name, everything), work)
    return work.steps


LIST = [str(n) for n in range(10)]
OBJECTS = {
    "numbers": made(a={"x": "#{1 + 2 * (3 - 4)} and #{2 ^ 8}"}),
    "nested": made(a={"x": "#{y + y}", "y": "#{z + z}", "z": "1"}),
    "lists": made(a={"x": "#{l + l} #{l}", "l": LIST}),
    "functions": made(a={"x": "#{format(d, 'YYYY-MM-dd' + p)}", "d": DEFAULT, "p": "yyyy" * 50}),
    "methods": made(a={"x": "#{d.plusDays(1).format('YYYY')}", "d": "2026-01-01T00:00:00"}),
    "others": made(a={"x": "#{b.y + b.c.z}", "b": "@b"}, b={"y": "#{z}", "z": "1", "c": "@a"}),
    "many": made(a={"x": "#{b.y}", "b": ["@b", "@c"]}, b={"y": LIST}, c={"y": "#{'a'}"}),
}
OBJECTS["functions"]["a"]["d"] = (Field("d", "2026-01-01T00:00:00"),)
OBJECTS["others"]["a"]["z"] = (Field("z", "1"),)


@pytest.mark.parametrize("everything", OBJECTS.values(), ids=OBJECTS)
def test_the_cost_is_found_without_an_evaluation(everything):
    """It is at least what the evaluation takes, and not far above it."""
    steps = steps_of("a", everything)
    cost = Costs(everything, {}, 10_000).of("a")
    assert steps <= cost <= 3 * steps + 10


@given(
    st.dictionaries(
        st.sampled_from("abcdef"),
        st.one_of(
            st.sampled_from(["1", "22", ["1", "2", "3"]]),
            st.lists(st.sampled_from("abcdef"), min_size=1, max_size=4).map(
                lambda names: "#{" + "+".join(names) + "} #{" + names[0] + "}"
            ),
        ),
        min_size=1,
    )
)
def test_the_cost_is_never_below_what_an_evaluation_takes(fields):
    """Whatever refers to whatever: the evaluation which has a result takes no more steps."""
    everything = made(a=fields)
    try:
        steps = steps_of("a", everything)
    except ExpressionError:
        return
    assert steps <= Costs(everything, {}, 1_000_000).of("a")


def test_what_an_instance_alone_has_may_be_any_field():
    """`node` refers to an object that is known at runtime, of whose fields the costliest counts."""
    everything = made(
        alarm={"message": "#{node.x}"}, a={"x": "#{y+y+y}", "y": "#{z+z}", "z": "1"}, b={"x": "1"}
    )
    assert Costs(everything, {}, 1000).of("alarm") > Costs(everything, {}, 1000).of("a") / 2
    assert Costs(made(a={"x": "#{node.x.y.z}"}), {}, 100).of("a") < 20


def test_each_field_is_looked_at_once():
    """Fields which quadruple from one to the next cost astronomically much, found out at once."""
    everything = made(a=DOUBLING)
    assert Costs(everything, {}, 1000).of("a") > 4**40
    with pytest.raises(TooCostlyError):
        Costs(everything, {}, 100).of("a")


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({"x": "#{x}"}, 20),
        ({"x": "#{y}", "y": "#{x + x}"}, 40),
        ({"x": "#{'a' #{b}"}, 10),
        ({"x": "#{('a').b}"}, 10),
        ({"x": "#{y.z}", "y": "text"}, 10),
        ({"x": "#{" + "(" * 40 + "y" + ")" * 40 + "}", "y": "#{x}"}, 200),
        ({"errorMessage": "#{x + x + x}"}, 0),
        ({"x": "@nowhere", "y": "plain"}, 0),
    ],
)
def test_what_has_no_value_costs_little(fields, most):
    """Circles, broken syntax, and what refers to nothing."""
    assert Costs(made(a=fields), {}, 1000).of("a") <= most


def test_a_field_deeper_than_any_evaluation_ends():
    """The evaluation refuses it, so its cost need not be known."""
    chain = {"f0": "1"} | {f"f{n}": "#{f" + str(n - 1) + "}" for n in range(1, 300)}
    assert Costs(made(a=dict(reversed(chain.items()))), {}, 100_000).of("a") > 300


def activity(**fields: Any) -> dict[str, Any]:
    usual = {"type": "ShellCommandActivity", "command": "true", "workerGroup": "workers"}
    return usual | fields


def default(**fields: Any) -> dict[str, Any]:
    return {"id": DEFAULT, "scheduleType": "ondemand"} | fields


def put(kit: Kit, **request: Any) -> tuple[str, dict[str, Any]]:
    pipeline_id = kit.call("CreatePipeline", name="p", uniqueId="u")["pipelineId"]
    return pipeline_id, kit.call("PutPipelineDefinition", pipelineId=pipeline_id, **request)


@pytest.mark.parametrize("operation", ["PutPipelineDefinition", "ValidatePipelineDefinition"])
@pytest.mark.parametrize(
    "objects",
    [
        [default(**DOUBLING), {"id": "A"} | activity()],
        [
            default(heavy="#{" + "+".join("a" * 500) + "}", a="1"),
            *({"id": f"A{n}"} | activity() for n in range(99)),
        ],
        [
            default(),
            {"id": "P", "type": "Exists", "x": "#{" + "+".join("a" * 300) + "}", "a": "1"},
            *({"id": f"A{n}"} | activity(precondition={"ref": "P"}) for n in range(98)),
        ],
    ],
    ids=["doubling", "inherited", "referred to"],
)
def test_a_definition_whose_expressions_take_too_many_steps_is_refused(operation, objects):
    """The refusal names the limit; it comes before anything is evaluated."""
    kit = Kit()
    pipeline_id = kit.call("CreatePipeline", name="p", uniqueId="u")["pipelineId"]
    answer = kit.call(operation, pipelineId=pipeline_id, **wire(*objects))
    assert answer["error"] == "InvalidRequestException"
    assert answer["message"].startswith(REFUSED)
    assert str(MAX_STEPS) in REFUSED


def test_the_lists_of_an_activation_count():
    """A parameter that gets a list at the activation makes expressions cost more."""
    kit = Kit()
    objects = [default(x="#{myX + myX}"), *({"id": f"A{n}"} | activity() for n in range(99))]
    pipeline_id, answer = put(kit, **wire(*objects, parameters=LISTS[:1]))
    assert "error" not in answer
    values = [{"id": "myX", "stringValue": str(n)} for n in range(30)]
    answer = kit.call("ActivatePipeline", pipelineId=pipeline_id, parameterValues=values)
    assert answer["message"].startswith(REFUSED)
    assert "error" not in kit.call(
        "ActivatePipeline", pipelineId=pipeline_id, parameterValues=values[:2]
    )


def test_one_call_describes_so_much_and_no_more():
    """The steps of all its objects count together, whether or not an object is there twice."""
    kit = Kit()
    objects = [default(), {"id": "A", "x": "#{" + "+".join("a" * 900) + "}", "a": "1"} | activity()]
    pipeline_id, answer = put(kit, **wire(*objects))
    assert "error" not in answer
    described = {"pipelineId": pipeline_id, "evaluateExpressions": True}
    assert "error" not in kit.call("DescribeObjects", objectIds=["A"], **described)
    answer = kit.call("DescribeObjects", objectIds=["A"] * 20, **described)
    assert answer["error"] == "InvalidRequestException"
    assert "it takes more than 50000 steps" in answer["message"]


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({f"my{n}": "x" * 150 for n in range(40)}, None),
        ({"x": ["y"] * 250}, "20000 values"),
        ({f"x{n}": "x" * 10_000 for n in range(9)}, "4194304 bytes"),
    ],
)
def test_an_answer_has_limits_as_well(fields, limit):
    """An object may be asked for again and again in one call, up to a size of the answer."""
    kit = Kit()
    pipeline_id, _ = put(kit, **wire({"id": "A"} | fields))
    answer = kit.call("DescribeObjects", pipelineId=pipeline_id, objectIds=["A"] * 100)
    if limit is None:
        assert len(answer["pipelineObjects"]) == 100
    else:
        assert answer["message"].startswith(f"The answer is too large: it may have {limit}")


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("".join("#{" + "1+" * 4000 + f"{n}}}" for n in range(9)), "50000 steps"),
        ("".join(f"#{{format(d, '{'y' * 9000}{n}')}}" for n in range(70)), "50000 steps"),
        ("#{l+l}" * 3, "1000 items"),
        ("#{a.a.a.a.a.a.a.a}", "50000 steps"),
        (("#{" + "+".join("b" * 60) + "}") * 2, "20971520 bytes"),
    ],
)
def test_one_expression_has_limits(expression, reason):
    """EvaluateExpression is refused by the limit which it would pass; the text may be long."""
    kit = Kit()
    fields = {
        "d": "2026-01-01T00:00:00",
        "l": LIST,
        "a": [{"ref": name} for name in "AAAAA"],
        "b": "x" * 10_000,
    }
    pipeline_id, _ = put(kit, **wire({"id": "A"} | fields))
    answer = kit.call(
        "EvaluateExpression", pipelineId=pipeline_id, objectId="A", expression=expression
    )
    assert answer["error"] == "InvalidRequestException"
    assert re.search(reason, answer["message"])


def test_work_counts_steps_and_bytes():
    """Reading a source counts its words, once; beyond a limit each call raises."""
    work = Work(20, 100)
    work.read("a + b")
    work.read("a + b")
    work.spend(8)
    with pytest.raises(ReasonError, match="more than 20 steps"):
        work.spend(1)
    work.keep(100)
    with pytest.raises(ReasonError, match="more than 100 bytes"):
        work.keep(1)
    assert words("a + 'b c'") == 3
