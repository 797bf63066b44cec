"""The objects of a pipeline as PollForTask and DescribeObjects give them, read and checked.

A field comes as a key with a stringValue or a refValue; a key that is repeated is a list (API
reference of PollForTask; the translation is the one of the AWS CLI).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, overload

from aiodp._core.fields import Ref
from aiodp._core.period import parse_period
from aiodp._core.text import shorten, shown, task_extra

if TYPE_CHECKING:
    from collections.abc import Iterable

ObjectField: TypeAlias = str | Ref | list[str | Ref]

_T = TypeVar("_T")

_ATTEMPT: Final = "_Attempt="
_RUNTIME: Final = "@"
"""Begins the names of the fields that the service itself sets."""
REQUIRED: Final = object()
"""Stands for no default."""


class PipelineObject:
    """One object of a pipeline: an attempt, an instance or a component.

    `fields` maps each key to a str, to a `Ref`, or to a list of these where the key is repeated.
    """

    __slots__ = ("_objects", "fields", "id", "name")

    def __init__(
        self,
        object_id: str,
        name: str,
        fields: Mapping[str, ObjectField],
        objects: Mapping[str, PipelineObject] | None = None,
    ) -> None:
        self.id = object_id
        self.name = name
        self.fields: Mapping[str, ObjectField] = MappingProxyType(dict(fields))
        self._objects = objects if objects is not None else {}

    def __repr__(self) -> str:
        return f"<{self.type or 'PipelineObject'} {self.id!r}, {len(self.fields)} fields>"

    @property
    def type(self) -> str:
        """Its type, such as `ShellCommandActivity`; empty if it has none."""
        return self.text("type", "")

    def texts(self, key: str) -> tuple[str, ...]:
        """Return all string values of a field, none if there is no such field."""
        return tuple(value for value in self._values(key) if isinstance(value, str))

    @overload
    def text(self, key: str) -> str: ...

    @overload
    def text(self, key: str, default: _T) -> str | _T: ...

    def text(self, key: str, default: Any = REQUIRED) -> Any:
        """Return the one string value of a field, or the default if it has none.

        Raises `LookupError` if it has none and there is no default, and `ValueError` if it has
        several: see `texts`.
        """
        values = self.texts(key)
        if len(values) > 1:
            raise ValueError(f"{self.id}: field {key!r} has {len(values)} values, not one")
        if not values and default is REQUIRED:
            raise self._lacking(key, "has a text", "it refers to an object, see `ref`")
        return values[0] if values else default

    def period(self, key: str) -> float | None:
        """Return the seconds of a field such as `10 minutes`; None if there is no such field.

        Raises `ValueError` if it is no period (Developer Guide, "Data Types").
        """
        text = self.text(key, None)
        return None if text is None else parse_period(text)

    def refs(self, key: str) -> tuple[PipelineObject, ...]:
        """Return all objects that a field refers to, none if there is no such field.

        Raises `LookupError` for a reference to an object that did not come with this one.
        """
        return tuple(
            self._resolved(key, value) for value in self._values(key) if isinstance(value, Ref)
        )

    def ref(self, key: str) -> PipelineObject:
        """Return the one object that a field refers to.

        Raises `LookupError` if there is none, or if it did not come with this one, and `ValueError`
        if there are several.
        """
        objects = self.refs(key)
        if not objects:
            raise self._lacking(key, "refers to an object", "it has a text, see `text`")
        if len(objects) > 1:
            raise ValueError(f"{self.id}: field {key!r} refers to {len(objects)} objects, not one")
        return objects[0]

    def _lacking(self, key: str, asked: str, has: str) -> LookupError:
        """Return the error of a field that has not what was asked for, or that is not there."""
        if key not in self.fields:
            names = ", ".join(name for name in self.fields if not name.startswith(_RUNTIME))
            has = f"its fields are {names}" if names else "it has no fields"
        return LookupError(f"{self.id} has no field {key!r} that {asked}: {has}")

    def _values(self, key: str) -> list[str | Ref]:
        value = self.fields.get(key, [])
        return value if isinstance(value, list) else [value]

    def _resolved(self, key: str, ref: Ref) -> PipelineObject:
        try:
            return self._objects[ref.object_id]
        except KeyError:
            raise LookupError(
                f"{self.id}: field {key!r} refers to {ref.object_id!r}, which the service did not "
                f"send along; `describe` asks for it"
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TaskObject:
    """A task as PollForTask handed it out, with the objects that came with it."""

    task_id: str
    pipeline_id: str
    attempt_id: str
    objects: Mapping[str, PipelineObject]
    assigned_at: float
    """When the answer came, on the scale of `anyio.current_time()`."""

    def __repr__(self) -> str:
        return f"<TaskObject {self.type or 'of no type'} {self.attempt_id!r} of {self.pipeline_id}>"

    @property
    def attempt(self) -> PipelineObject:
        """The object of the attempt itself: `fields`, and methods that read them."""
        return self.objects[self.attempt_id]

    @property
    def type(self) -> str:
        """The type of its object, such as `ShellCommandActivity`; empty if it has none."""
        return self.attempt.type

    @property
    def fields(self) -> Mapping[str, ObjectField]:
        """The fields of the attempt: str, `Ref`, or a list of these where a key is repeated."""
        return self.attempt.fields

    @property
    def report_progress_timeout(self) -> float | None:
        """Its `reportProgressTimeout` in seconds of the service, which is the length of its lease.

        None if it has none, or none that is a period such as `10 minutes`.
        """
        try:
            return self.attempt.period("reportProgressTimeout")
        except ValueError:
            return None


class Assignment(TaskObject):
    """A task that a task runner has in hand."""

    __slots__ = ()

    def __str__(self) -> str:
        what = f"{self.type or 'task'} {self.attempt_id} of {self.pipeline_id}"
        return f"{what} (task {shorten(self.task_id)})"

    @property
    def instance(self) -> tuple[str, str]:
        """What the attempt is one of: two of one instance must never be worked on together."""
        return self.pipeline_id, self.attempt_id.rpartition(_ATTEMPT)[0] or self.attempt_id

    @property
    def extra(self) -> dict[str, object]:
        """What log records say of it."""
        names = {"pipeline": self.pipeline_id, "attempt": self.attempt_id, "type": self.type}
        return task_extra(self.task_id) | names


def parse_object(
    answer: Any, objects: Mapping[str, PipelineObject] | None = None
) -> PipelineObject:
    """Read one object of an answer; raise `ValueError` for what is none."""
    try:
        object_id, name, wire = answer["id"], answer.get("name"), answer.get("fields") or []
        return PipelineObject(str(object_id), str(name or object_id), _fields(wire), objects)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this is no object of a pipeline: {shown(answer)}") from error


def parse_objects(answers: Mapping[str, Any]) -> Mapping[str, PipelineObject]:
    """Read the objects of a task, which refer to one another; raise `ValueError`."""
    if not isinstance(answers, Mapping):
        raise ValueError(f"these are no objects of a pipeline: {shown(answers)}")  # noqa: TRY004
    objects: dict[str, PipelineObject] = {}
    for key, answer in answers.items():
        objects[key] = parse_object(answer, objects)
    return MappingProxyType(objects)


def read_assignment(answer: Mapping[str, Any], assigned_at: float) -> Assignment:
    """Read a taskObject; raise `ValueError` that says what is wrong with it."""
    attempt_id = _text(answer, "attemptId")
    objects = parse_objects(answer.get("objects") or {})
    if attempt_id not in objects:
        raise ValueError(f"its attempt {shown(attempt_id)} is not among its objects")
    _ = objects[attempt_id].type  # there must be no two of it
    return Assignment(
        task_id=_text(answer, "taskId"),
        pipeline_id=_text(answer, "pipelineId"),
        attempt_id=attempt_id,
        objects=objects,
        assigned_at=assigned_at,
    )


def _fields(wire: Iterable[Mapping[str, Any]]) -> dict[str, ObjectField]:
    fields: dict[str, ObjectField] = {}
    for field in wire:
        key, value = field["key"], _value(field)
        if key not in fields:
            fields[key] = value
            continue
        before = fields[key]
        fields[key] = [*before, value] if isinstance(before, list) else [before, value]
    return fields


def _value(field: Mapping[str, Any]) -> str | Ref:
    """Return a field's value; a stringValue goes before a refValue, as in the AWS CLI."""
    text = field.get("stringValue")
    return str(text) if text is not None else Ref(str(field["refValue"]))


def _text(answer: Mapping[str, Any], name: str) -> str:
    text = answer.get(name)
    if not isinstance(text, str) or not text:
        raise ValueError(f"its {name} is {shown(text)}")
    return text
