"""Definition files: their JSON, as people write it, and the API's form of the same."""

from __future__ import annotations

import json
from typing import Any

Wire = list[dict[str, Any]]


def load_definition(text: str) -> tuple[Wire, Wire, Wire]:
    """Translate a definition file into (pipelineObjects, parameterObjects, parameterValues).

    As the AWS CLI does it: ``name`` defaults to ``id``, the other keys are sorted, a value of the
    form ``{"ref": ...}`` is a reference, a list is one field for each item. Scalars other than
    strings are written as JSON writes them. Raises ``ValueError`` if the text is no definition.
    """
    document = json.loads(text)
    if not isinstance(document, dict) or not isinstance(document.get("objects"), list):
        raise ValueError(  # noqa: TRY004  # the text is wrong, not what the caller passed
            'a definition is a JSON object with a list of "objects"'
        )
    objects = [_object(item) for item in document["objects"]]
    parameters = [_parameter(item) for item in document.get("parameters", [])]
    values = [
        {"id": key, "stringValue": _scalar(item)}
        for key, value in document.get("values", {}).items()
        for item in _items(value)
    ]
    return objects, parameters, values


def _object(item: dict[str, Any]) -> dict[str, Any]:
    object_id = _id(item)
    rest = {key: value for key, value in item.items() if key not in ("id", "name")}
    fields = [_field(key, one) for key in sorted(rest) for one in _items(rest[key])]
    return {"id": object_id, "name": item.get("name", object_id), "fields": fields}


def _parameter(item: dict[str, Any]) -> dict[str, Any]:
    attributes = [
        {"key": key, "stringValue": _scalar(one)}
        for key in sorted(item)
        if key != "id"
        for one in _items(item[key])
    ]
    return {"id": _id(item), "attributes": attributes}


def _id(item: object) -> str:
    if not isinstance(item, dict) or not isinstance(item.get("id"), str):
        raise ValueError(  # noqa: TRY004  # as above
            f'each object and parameter needs an "id", which this lacks: {item!r}'
        )
    return str(item["id"])


def _field(key: str, value: Any) -> dict[str, str]:
    if isinstance(value, dict) and list(value) == ["ref"]:
        return {"key": key, "refValue": value["ref"]}
    return {"key": key, "stringValue": _scalar(value)}


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _scalar(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
