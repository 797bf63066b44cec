"""Definition files: their JSON, as people write it, the API's form of it, and how it is put."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from aiodp.emulator._definition.components import Definition
from aiodp.emulator._definition.lines import Part, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Wire = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PutResult:
    """What the service finds in a definition, a line for each error and each warning."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]


class FileError(ValueError):
    """A file does not have the form which it should have; `place` is where, if that is known."""

    def __init__(self, text: str, place: Place | None = None) -> None:
        super().__init__(text)
        self.place = place


class _Repeated(list[Any]):
    """The values of a key which stands in one JSON object more than once."""


def load_definition(text: str) -> tuple[Wire, Wire, Wire]:
    """Translate a definition file into (pipelineObjects, parameterObjects, parameterValues).

    As the AWS CLI does it: `name` defaults to `id`, the other keys are sorted, a value of the
    form `{"ref": ...}` is a reference, a list is one field for each item. Scalars other than
    strings are written as JSON writes them. A key which is there twice is a list, as the samples of
    the Developer Guide mean it (`"step"`). Raises `ValueError`, which names object and key, if
    the text is no definition.
    """
    document = _parse(text)
    if not isinstance(document, dict) or not _is_list(document.get("objects")):
        raise FileError('a definition is a JSON object with a list of "objects"')
    if not _is_list(parameters := document.get("parameters", [])):
        raise FileError('the "parameters" of a definition are a list')
    return (
        [_object(number, item) for number, item in enumerate(document["objects"])],
        [_parameter(number, item) for number, item in enumerate(parameters)],
        _values(document.get("values", {})),
    )


def load_values(text: str) -> Wire:
    """Translate a file of parameter values into parameterValues.

    It is `{"values": {"myName": value, ...}}` or the inner mapping alone; a list is several
    values of the parameter. Raises `ValueError` if the text is neither.
    """
    document = _parse(text)
    wrapped = isinstance(document, dict) and list(document) == ["values"]
    return _values(document["values"] if wrapped else document)


def load_parameters(text: str) -> Wire:
    """Translate a file of parameters, `{"parameters": [...]}`, into parameterObjects.

    It is what `--parameter-objects` of the AWS CLI takes. Raises `ValueError` as
    `load_definition` does.
    """
    document = _parse(text)
    if not isinstance(document, dict) or not _is_list(document.get("parameters")):
        raise FileError('a file of parameters is a JSON object with a list of "parameters"')
    return [_parameter(number, item) for number, item in enumerate(document["parameters"])]


def read_definition(text: str) -> Definition:
    """Return what a definition file says; raises `ValueError` as `load_definition` does."""
    objects, parameters, values = load_definition(text)
    return Definition(objects=objects, parameter_objects=parameters, parameter_values=values)


def put(
    perform: Callable[..., dict[str, Any]], pipeline_id: str, definition: Definition
) -> PutResult:
    """Put a definition into a pipeline; `perform` does a call of the API."""
    answer = perform(
        "PutPipelineDefinition",
        pipelineId=pipeline_id,
        pipelineObjects=definition.objects,
        parameterObjects=definition.parameter_objects,
        parameterValues=definition.parameter_values,
    )
    return PutResult(
        errors=tuple(_lines(answer["validationErrors"], "errors")),
        warnings=tuple(_lines(answer["validationWarnings"], "warnings")),
    )


def _lines(items: Iterable[dict[str, Any]], key: str) -> Iterator[str]:
    for item in items:
        for text in item[key]:
            yield f"{item['id'] or 'the definition'}: {text}"


def _parse(text: str) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_folded)
    except json.JSONDecodeError:
        if text.strip() and not text.lstrip().startswith(("{", "[")):
            raise FileError("it must be JSON, with { at its beginning; YAML is not read") from None
        raise
    except RecursionError:
        raise FileError("the JSON is nested too deep") from None


def _folded(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    folded: dict[str, Any] = {}
    for key, value in pairs:
        if key in folded:
            folded[key] = _Repeated([*_items(folded[key]), *_items(value)])
        else:
            folded[key] = value
    return folded


def _object(number: int, item: Any) -> dict[str, Any]:
    place = _place(Part.OBJECT, number, item)
    name = item.get("name", place.id)
    if not isinstance(name, str):
        raise FileError(f'{place}: "name" must be one text', replace(place, key="name"))
    fields = [
        _field(replace(place, key=key), key, value)
        for key in sorted(item)
        if key not in ("id", "name")
        for value in _items(item[key])
    ]
    return {"id": place.id, "name": name, "fields": fields}


def _parameter(number: int, item: Any) -> dict[str, Any]:
    place = _place(Part.PARAMETER, number, item)
    attributes = [
        {"key": key, "stringValue": _scalar(replace(place, key=key), value)}
        for key in sorted(item)
        if key != "id"
        for value in _items(item[key])
    ]
    return {"id": place.id, "attributes": attributes}


def _values(values: Any) -> Wire:
    if not isinstance(values, dict):
        raise FileError("values are a JSON object, a value for each parameter")
    return [
        {
            "id": key,
            "stringValue": _scalar(Place(part=Part.VALUE, number=number, id=key), item),
        }
        for number, (key, value) in enumerate(values.items())
        for item in _items(value)
    ]


def _place(part: Part, number: int, item: Any) -> Place:
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        raise FileError(
            f'each object and parameter needs one "id", which this lacks: {_short(item)}',
            Place(part=part, number=number),
        )
    return Place(part=part, number=number, id=item["id"])


def _field(place: Place, key: str, value: Any) -> dict[str, str]:
    if isinstance(value, dict) and list(value) == ["ref"]:
        if not isinstance(value["ref"], str):
            raise FileError(f'{place}: a "ref" is the id of one object', place)
        return {"key": key, "refValue": value["ref"]}
    return {"key": key, "stringValue": _scalar(place, value)}


def _scalar(place: Place, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise FileError(
        f"{place} must be a text, a number or true or false, not {_short(value)}", place
    )


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and not isinstance(value, _Repeated)


def _short(value: Any) -> str:
    return repr(value)[:60]
