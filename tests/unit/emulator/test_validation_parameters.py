"""Parameters of a definition: what they may be, and which values they take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiodp.emulator._definition.validation import activation_errors
from unit.emulator.validation_kit import definition, errors, warnings

if TYPE_CHECKING:
    from aiodp.emulator._definition.components import Definition
    from unit.emulator.validation_kit import Texts


def made(*parameters: dict[str, Any], **values: Any) -> Definition:
    names = "".join(f"#{{{parameter['id']}}}" for parameter in parameters)
    return definition({"id": "Default", "myText": names}, parameters=parameters, values=values)


def found(*parameters: dict[str, Any], **values: Any) -> Texts:
    return errors(made(*parameters, **values))


@pytest.mark.parametrize(
    ("attributes", "value", "good"),
    [
        ({}, "anything", True),
        ({"type": "String"}, "anything", True),
        ({"type": "AWS::S3::ObjectKey"}, "myOutputLocation", True),
        ({"type": "Integer"}, "-12", True),
        ({"type": "Integer"}, "1.5", False),
        ({"type": "Integer"}, "\u0661", False),
        ({"type": "Double"}, "1.5e3", True),
        ({"type": "Double"}, "one", False),
        ({"type": "Double"}, "nan", False),
        ({"allowedValues": ["a", "b"]}, "b", True),
        ({"allowedValues": ["a", "b"]}, "c", False),
        ({"type": "Integer", "allowedValues": "1"}, "2", False),
        ({"type": "string"}, "anything", True),
        ({"type": "aws::s3::objectkey"}, "s3://bucket/key", True),
        ({"type": "INTEGER"}, "12", True),
        ({"type": "integer"}, "many", False),
        ({"type": "double"}, "one", False),
    ],
)
def test_a_value_must_fit_its_parameter(attributes, value, good):
    """A value, as well as a default, is of the parameter's type and one of those allowed."""
    parameter = {"id": "myOne"} | attributes
    given = found(parameter, myOne=value)
    assert list(given) == ([] if good else ["myOne"])
    by_default = found(parameter | {"default": value})
    assert list(by_default) == list(given)


@pytest.mark.parametrize(
    ("parameter", "fragment"),
    [
        ({"id": "one"}, "must begin with 'my'"),
        ({"id": "*one"}, "must begin with 'my'"),
        ({"id": "myOne", "type": "Boolean"}, "'type' must be one of"),
        ({"id": "myOne", "optional": "maybe"}, "'optional' must be true or false"),
        ({"id": "myOne", "isArray": "2"}, "'isArray' must be true or false"),
        ({"id": "myOne", "isArray": ["true", "no"]}, "'isArray' must be true or false"),
    ],
)
def test_a_parameter_with_a_wrong_id_or_type_is_an_error(parameter, fragment):
    """A parameter's id begins with my, or *my, and its type is one of four."""
    texts = errors(definition(parameters=[parameter]))[parameter["id"]]
    assert len(texts) == 1
    assert fragment in texts[0]


@pytest.mark.parametrize("key", ["optional", "isArray"])
@pytest.mark.parametrize("value", ["true", "FALSE", True])
def test_attributes_that_are_true_or_false(key, value):
    """`optional` and `isArray` are true or false, in any case."""
    assert found({"id": "myOne", key: value}) == {}


def test_a_parameter_with_an_asterisk_is_encrypted():
    """A parameter with an asterisk is one."""
    assert found({"id": "*mySecret"}) == {}


def test_parameters_are_unique():
    """The same id twice is an error."""
    assert "must be unique" in found({"id": "myOne"}, {"id": "myOne"})["myOne"][0]


def test_a_definition_has_fifty_parameters_at_most():
    """A definition has 50 parameters at most."""
    many = [{"id": f"my{n}"} for n in range(51)]
    assert found(*many[:50]) == {}
    assert list(found(*many)) == ["my50"]


def test_how_long_values_are():
    """The values have 15 KB at most, together with their ids."""
    parameters = [{"id": "myA"}, {"id": "myB"}]
    objects = {"id": "X", "my_used": "#{myA + myB}"}
    for size, wanted in ((5114, []), (5115, ["LIMIT_EXCEEDED"])):
        values = {"myA": "x" * 10_240, "myB": "x" * size}
        texts = errors(definition(objects, parameters=parameters, values=values)).get("myA", [])
        assert [text.partition(":")[0] for text in texts] == wanted


def test_a_value_that_is_still_missing():
    """A parameter without value or default is odd in a definition, and an error to activate."""
    bare = made({"id": "myOne"})
    assert errors(bare) == {}
    assert warnings(bare)["myOne"] == ["It needs a value when the pipeline is activated."]
    assert activation_errors(bare) == ["myOne: MISSING_VALUE: the parameter has no value."]
    given = bare.with_values([{"id": "myOne", "stringValue": "x"}])
    assert activation_errors(given) == []


@pytest.mark.parametrize("attributes", [{"default": "x"}, {"optional": "true"}, {"optional": True}])
def test_a_value_that_need_not_be(attributes):
    """A parameter with a default, or an optional one, needs no value."""
    assert activation_errors(made({"id": "myOne"} | attributes)) == []


def test_what_is_not_used():
    """A parameter which no object uses, and a value without a parameter, are odd."""
    odd = definition(
        {"id": "Default", "pipelineLogUri": "s3://logs", "myText": "myOne #{myTwo}"},
        parameters=[{"id": "myOne", "default": "x"}, {"id": "myTwo", "default": "x"}],
        values={"myThree": "x"},
    )
    assert list(warnings(odd)) == ["myThree", "myOne"]


def test_activation_names_the_object():
    """What keeps a pipeline from being activated is told with the object's id."""
    assert activation_errors(definition({"id": "A", "type": "B"})) == [
        "A: INVALID_FIELD_VALUE: there is no 'type' 'B'."
    ]
