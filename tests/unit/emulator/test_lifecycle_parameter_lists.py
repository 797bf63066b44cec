"""Parameters with several values, and parameters named as fields are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from unit.emulator.lifecycle_kit import RETRY, Lifecycle
from unit.emulator.lifecycle_objects import activity, at, daily, wire_objects

if TYPE_CHECKING:
    from unit.emulator.lifecycle_objects import Definition

ATTEMPT = f"{at('A')}_Attempt=1"


def launch(kit: Lifecycle, definition: Definition, **values: list[str]) -> None:
    """Activate a pipeline whose parameters have lists of values."""
    created = kit.call("CreatePipeline", name="p", uniqueId="u")
    kit.pipeline_id = created["pipelineId"]
    kit.call(
        "PutPipelineDefinition",
        pipelineId=kit.pipeline_id,
        pipelineObjects=wire_objects(definition),
        parameterObjects=[{"id": parameter_id, "attributes": []} for parameter_id in values],
        parameterValues=[
            {"id": parameter_id, "stringValue": text}
            for parameter_id, texts in values.items()
            for text in texts
        ],
    )
    assert kit.activate() == {}


def arguments(kit: Lifecycle, name: str) -> Any:
    return kit.fields(name)["scriptArgument"]


def test_a_list_within_a_text_makes_a_text_of_each_value(kit):
    """`--in=#{myL}` is repeated: components, instances and workers have all of it."""
    launch(kit, daily(A=activity(scriptArgument="--in=#{myL}")), myL=["a", "b"])
    expected = ["--in=a", "--in=b"]
    assert [arguments(kit, object_id) for object_id in ("A", at("A"), ATTEMPT)] == [expected] * 3
    assert kit.begin("A").fields()["scriptArgument"] == expected


def test_two_lists_make_all_pairs(kit):
    """Each value of the one list stands with each of the other."""
    definition = daily(A=activity(scriptArgument="#{myL}-#{myM}-#{myOne}"))
    launch(kit, definition, myL=["a", "b"], myM=["1", "2", "3"], myOne=["x"])
    pairs = ["a-1-x", "a-2-x", "a-3-x", "b-1-x", "b-2-x", "b-3-x"]
    assert arguments(kit, at("A")) == pairs
    assert kit.begin("A").fields()["scriptArgument"] == pairs


@pytest.mark.parametrize("text", ["[#{myL}, #{myM}]", " [ #{myL},#{myM} ] ", "[#{myL},#{ myM }]"])
def test_lists_within_brackets_are_one_flat_list(kit, text):
    """The guide's `[#{myList1}, #{myList2}]` has the values of both (dp-pipeline-expressions)."""
    launch(kit, daily(A=activity(scriptArgument=text)), myL=["1", "2"], myM=["3", "4"])
    expected = ["1", "2", "3", "4"]
    assert [arguments(kit, object_id) for object_id in ("A", at("A"), ATTEMPT)] == [expected] * 3
    assert kit.begin("A").fields()["scriptArgument"] == expected


def test_lists_of_fields_within_brackets_are_one_flat_list(kit):
    """So it is with fields, with functions, and where fields and parameters meet."""
    lists = {"myX": ["1", "2"], "myY": "[#{myX}, #{myL}, #{day(@scheduledStartTime)}]"}
    launch(kit, daily(A=activity(scriptArgument="#{myY}", **lists)), myL=["3", "4"])
    assert kit.begin("A").fields()["scriptArgument"] == ["1", "2", "3", "4", "1"]


@pytest.mark.parametrize("text", ["[#{myOne}, #{myOne}]", "[#{myL}]", "x[#{myL}, #{myOne}]"])
def test_other_brackets_are_text(kit, text):
    """Brackets with one expression, without a list, or within a longer text stay."""
    launch(kit, daily(A=activity(scriptArgument=text)), myOne=["1"], myL=["2", "3"])
    made = kit.begin("A").fields()["scriptArgument"]
    assert all("[" in item for item in ([made] if isinstance(made, str) else made))


def test_a_list_and_an_expression_make_a_text_of_each_value(kit):
    """What is not a parameter is evaluated in each of the texts."""
    text = "#{myL} of #{day(@scheduledStartTime)}"
    launch(kit, daily(A=activity(scriptArgument=text)), myL=["a", "b"])
    assert kit.begin("A").fields()["scriptArgument"] == ["a of 1", "b of 1"]


def test_a_thousand_values_are_made(kit):
    """The most that a text may become."""
    lists = {"myL": [str(n) for n in range(40)], "myM": [str(n) for n in range(25)]}
    launch(kit, daily(A=activity(scriptArgument="#{myL}-#{myM}")), **lists)
    assert len(set(arguments(kit, "A"))) == 1000
    assert kit.begin("A").fields()["scriptArgument"] == arguments(kit, "A")


@pytest.mark.parametrize("text", ["#{myL}-#{myM}", f"[#{{myL}}{', #{myL}' * 25}]"])
def test_more_than_a_thousand_values_fail_the_attempt(kit, text):
    """They are never made: the attempt fails, and says why."""
    lists = {"myL": [str(n) for n in range(40)], "myM": [str(n) for n in range(26)]}
    launch(kit, daily(A=activity(scriptArgument=text, maximumRetries="0")), **lists)
    assert arguments(kit, "A") == text
    assert kit.take() is None
    kit.move(RETRY)
    assert kit.status("A") == "FAILED"
    fields = kit.fields(at("A"))
    assert fields["errorId"] == "Service_ExpressionError"
    assert "more than 1000" in fields["errorMessage"]


@pytest.mark.parametrize("owner", ["A", "Default"])
def test_a_field_hides_a_parameter_of_its_name(kit, owner):
    """`#{myX}` is the object's own field, or one which it inherits, wherever it is evaluated."""
    objects = daily(Default={"myNote": "x"}, A=activity(command="run #{myX}"))
    objects["B"] = activity(command="run #{myX}")
    objects[owner] = objects[owner] | {"myX": "field"}
    launch(kit, objects, myX=["parameter"])
    for name in ("A", at("A"), ATTEMPT):
        assert kit.fields(name, evaluate=True)["command"] == "run field"
        answer = kit.call(
            "EvaluateExpression", pipelineId=kit.pipeline_id, objectId=name, expression="#{myX}"
        )
        assert answer == {"evaluatedExpression": "field"}
    assert kit.begin("A").fields()["command"] == "run field"
    other = "run parameter" if owner == "A" else "run field"
    assert kit.fields(at("B"), evaluate=True)["command"] == other
