"""What PollForTask hands out, read and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiodp._core.objects import parse_objects
from aiodp._core.text import shorten, shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiodp._core.objects import PipelineObject

_ATTEMPT: Final = "_Attempt="


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A task as it was handed out."""

    task_id: str
    pipeline_id: str
    attempt_id: str
    objects: Mapping[str, PipelineObject]
    assigned_at: float
    """When the answer came, on the scale of `anyio.current_time()`."""

    def __str__(self) -> str:
        return f"{self.attempt.type or 'task'} {self.attempt_id} of {self.pipeline_id}"

    @property
    def attempt(self) -> PipelineObject:
        """The object of the attempt itself."""
        return self.objects[self.attempt_id]

    @property
    def instance(self) -> tuple[str, str]:
        """What the attempt is one of: two of one instance must never be worked on together."""
        return self.pipeline_id, self.attempt_id.rpartition(_ATTEMPT)[0] or self.attempt_id

    @property
    def extra(self) -> dict[str, object]:
        """What log records say of it."""
        return {
            "task": shorten(self.task_id),
            "pipeline": self.pipeline_id,
            "attempt": self.attempt_id,
            "type": self.attempt.type,
        }


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


def _text(answer: Mapping[str, Any], name: str) -> str:
    text = answer.get(name)
    if not isinstance(text, str) or not text:
        raise ValueError(f"its {name} is {shown(text)}")
    return text
