"""Components: the objects of a definition with what they inherit and with parameters filled in."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiodp.emulator._definition.expressions.template import is_list
from aiodp.emulator._definition.fields import Field, Fields, from_wire
from aiodp.emulator._definition.size import Size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

T = TypeVar("T")

DEFAULT: Final = "Default"
_MAX_FILLED_VALUES: Final = 1000
_PARAMETER: Final = re.compile(r"#\{\s*(\*?my\w+)\s*\}")

Parameters = dict[str, tuple[str, ...]]
"""Values of parameters by id; several make a list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """An object of the definition; `fields` has the inherited ones, not the `parent` itself.

    Fields which start with `@` are the service's own, so those of the definition are ignored.
    """

    id: str
    name: str
    fields: Fields
    parent: str | None = None

    def text(self, key: str) -> str | None:
        """Return the first string value of a field."""
        return next((f.value for f in self.fields.get(key, ()) if not f.is_ref), None)

    def ref(self, key: str) -> str | None:
        """Return the id of the first object that a field refers to."""
        return next((f.value for f in self.fields.get(key, ()) if f.is_ref), None)

    def refs(self, key: str) -> tuple[str, ...]:
        """Return the ids of all objects that a field refers to."""
        return tuple(f.value for f in self.fields.get(key, ()) if f.is_ref)

    @property
    def has_expressions(self) -> bool:
        """Whether any field has to be evaluated."""
        return any("#{" in f.value for values in self.fields.values() for f in values)

    @property
    def type(self) -> str:
        """The object's type; empty if it has none."""
        return self.text("type") or ""

    @property
    def on_demand(self) -> bool:
        """Whether each activation makes a run of it."""
        return (self.text("scheduleType") or "").lower() == "ondemand"


@dataclass(frozen=True, kw_only=True)
class Definition:
    """A definition as PutPipelineDefinition brought it, in the API's own form.

    Its lists are never changed, so what they mean is found out once.
    """

    objects: list[dict[str, Any]]
    parameter_objects: list[dict[str, Any]]
    parameter_values: list[dict[str, Any]]

    def once(self, what: str, find: Callable[[], T]) -> T:
        """Return what `find` returns, which is called once for each `what`."""
        known: dict[str, T] = self.__dict__
        if f"_{what}" not in known:
            known[f"_{what}"] = find()
        return known[f"_{what}"]

    def check_size(self) -> None:
        """Raise InvalidRequestException, which names the limit, if it has too many components."""
        self.once("components", lambda: self._read(Size()))

    def components(self) -> dict[str, Component]:
        """Return every object by id, with the fields which it inherits, parameters filled in."""
        return dict(self.once("components", lambda: self._read(Size(math.inf, math.inf))))

    def _read(self, size: Size) -> dict[str, Component]:
        own = {item["id"]: from_wire(item.get("fields", [])) for item in self.objects}
        values = self.parameters()
        return {
            item["id"]: Component(
                id=item["id"],
                name=item["name"],
                fields=_fill(_inherit(item["id"], own), values, size),
                parent=_known_parent(item["id"], own),
            )
            for item in self.objects
        }

    def with_values(self, values: list[dict[str, Any]]) -> Definition:
        """Return the definition with these values of parameters, as ActivatePipeline has them."""
        if not values:
            return self
        given = {value["id"] for value in values}
        kept = [value for value in self.parameter_values if value["id"] not in given]
        known: tuple[list[dict[str, Any]], Definition] | None = self.__dict__.get("_latest_values")
        if known is not None and known[0] == values:
            return known[1]
        made = replace(self, parameter_values=kept + values)
        self.__dict__["_latest_values"] = values, made
        return made

    def parameters(self) -> Parameters:
        """Return the values of the parameters, given or by default; none for an optional one."""
        defaults = {
            parameter["id"]: tuple(_defaults(parameter.get("attributes", [])))
            for parameter in self.parameter_objects
        }
        given: Parameters = {}
        for value in self.parameter_values:
            given[value["id"]] = (*given.get(value["id"], ()), str(value["stringValue"]))
        optional = {item["id"] for item in self.parameter_objects if _is_optional(item)}
        values = defaults | given
        return {key: value for key, value in values.items() if value or key in optional}


def _defaults(attributes: Iterable[Mapping[str, Any]]) -> list[str]:
    return [str(item["stringValue"]) for item in attributes if item["key"] == "default"]


def _is_optional(parameter: Mapping[str, Any]) -> bool:
    attributes = parameter.get("attributes", [])
    given = [str(item["stringValue"]) for item in attributes if item["key"] == "optional"]
    return [value.lower() for value in given[:1]] == ["true"]


def lineage(object_id: str, own: Mapping[str, Fields]) -> Iterator[str]:
    """Yield an object and what it inherits from, the nearest first, `Default` last."""
    seen: set[str] = set()
    current: str | None = object_id
    while current is not None and current in own and current not in seen:
        yield current
        seen.add(current)
        current = parent_of(current, own[current])


def _inherit(object_id: str, own: Mapping[str, Fields]) -> Fields:
    """Merge the fields of the lineage; the nearest field wins."""
    fields: Fields = {}
    for current in lineage(object_id, own):
        fields = own[current] | fields
    return {
        key: values for key, values in fields.items() if key != "parent" and not key.startswith("@")
    }


def _known_parent(object_id: str, own: Mapping[str, Fields]) -> str | None:
    parent = parent_of(object_id, own[object_id])
    return parent if parent in own else None


def parent_of(object_id: str, fields: Fields) -> str | None:
    """Return the id of the object from which this one inherits."""
    parents = fields.get("parent")
    if parents:
        return parents[0].value
    return None if object_id == DEFAULT else DEFAULT


def _fill(fields: Fields, parameters: Parameters, size: Size) -> Fields:
    seen = {key: values for key, values in parameters.items() if key not in fields}
    return {
        key: tuple(filled for value in values for filled in _fill_one(value, seen, size))
        for key, values in fields.items()
    }


def _fill_one(field: Field, parameters: Parameters, size: Size) -> list[Field]:
    """Fill in parameters; other expressions stay as they are.

    A parameter with a list of values makes a field of each; two lists make all pairs, or one
    flat list if they stand in brackets (`is_list`). One without a value makes no field, or nothing
    in a longer text.
    """
    columns = _columns(field, parameters)
    count = prod(map(len, columns))
    size.add(count, sum(_bytes(column) * count // len(column) for column in columns if column))
    if columns == [(field.value,)]:
        return [field]
    return [replace(field, value="".join(chosen)) for chosen in product(*columns)]


def _columns(field: Field, parameters: Parameters) -> list[tuple[str, ...]]:
    """Return what the field's value is put together of, each with all its choices."""
    as_it_is: list[tuple[str, ...]] = [(field.value,)]
    if field.is_ref or "#{" not in field.value:
        return as_it_is
    whole = _PARAMETER.fullmatch(field.value)
    if whole is not None and whole[1] in parameters:
        return [parameters[whole[1]]]
    pieces = _PARAMETER.split(field.value)  # text, name, text, name, ... text
    names = pieces[1::2]
    if is_list(field.value):
        if len(names) < field.value.count("#{") or not parameters.keys() >= set(names):
            return as_it_is  # the evaluation will see all of it
        if {len(parameters[name]) for name in names} != {1}:
            return _flat([parameters[name] for name in names]) or as_it_is
    columns = [
        parameters.get(piece, (f"#{{{piece}}}",)) or ("",) if n % 2 else (piece,)
        for n, piece in enumerate(pieces)
    ]
    if prod(map(len, columns)) > _MAX_FILLED_VALUES:
        return as_it_is  # which the evaluation will refuse
    return columns


def _flat(lists: list[tuple[str, ...]]) -> list[tuple[str, ...]] | None:
    """Return one list of all their values, unless it is too long."""
    if sum(map(len, lists)) > _MAX_FILLED_VALUES:
        return None
    return [tuple(value for values in lists for value in values)]


def _bytes(values: tuple[str, ...]) -> int:
    return sum(len(value.encode(errors="surrogatepass")) for value in values)
