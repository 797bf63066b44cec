"""Definition files: their JSON, as people write it, the API's form of it, and how it is put."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiodp.emulator._definition.components import Definition

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Wire = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PutResult:
    """What the service finds in a definition, a line for each error and each warning."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]


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
        raise ValueError(  # the text is wrong, not what the caller passed
            'a definition is a JSON object with a list of "objects"'
        )
    if not _is_list(parameters := document.get("parameters", [])):
        raise ValueError('the "parameters" of a definition are a list')
    return (
        [_object(item) for item in document["objects"]],
        [_parameter(item) for item in parameters],
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
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None


def _folded(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    folded: dict[str, Any] = {}
    for key, value in pairs:
        if key in folded:
            folded[key] = _Repeated([*_items(folded[key]), *_items(value)])
        else:
            folded[key] = value
    return folded


def _object(item: Any) -> dict[str, Any]:
    object_id = _id(item)
    name = item.get("name", object_id)
    if not isinstance(name, str):
        raise ValueError(f'object {object_id!r}: "name" must be one text')  # noqa: TRY004 - the file's fault
    fields = [
        _field(f"object {object_id!r}: {key!r}", key, value)
        for key in sorted(item)
        if key not in ("id", "name")
        for value in _items(item[key])
    ]
    return {"id": object_id, "name": name, "fields": fields}


def _parameter(item: Any) -> dict[str, Any]:
    parameter_id = _id(item)
    attributes = [
        {"key": key, "stringValue": _scalar(f"parameter {parameter_id!r}: {key!r}", value)}
        for key in sorted(item)
        if key != "id"
        for value in _items(item[key])
    ]
    return {"id": parameter_id, "attributes": attributes}


def _values(values: Any) -> Wire:
    if not isinstance(values, dict):
        raise ValueError("values are a JSON object, a value for each parameter")  # noqa: TRY004 - the file's fault
    return [
        {"id": key, "stringValue": _scalar(f"value of {key!r}", item)}
        for key, value in values.items()
        for item in _items(value)
    ]


def _id(item: Any) -> str:
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        raise ValueError(  # noqa: TRY004 - the file's fault
            f'each object and parameter needs one "id", which this lacks: {_short(item)}'
        )
    return str(item["id"])


def _field(where: str, key: str, value: Any) -> dict[str, str]:
    if isinstance(value, dict) and list(value) == ["ref"]:
        if not isinstance(value["ref"], str):
            raise ValueError(f'{where}: a "ref" is the id of one object')
        return {"key": key, "refValue": value["ref"]}
    return {"key": key, "stringValue": _scalar(where, value)}


def _scalar(where: str, value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    raise ValueError(f"{where} must be a text, a number or true or false, not {_short(value)}")


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is_list(value: Any) -> bool:
    return isinstance(value, list) and not isinstance(value, _Repeated)


def _short(value: Any) -> str:
    return repr(value)[:60]
