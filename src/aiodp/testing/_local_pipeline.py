"""A pipeline which a test made, and steers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiodp.testing import _goals as goals
from aiodp.testing._pipelines import call

if TYPE_CHECKING:
    from aiodp.emulator._records import Status
    from aiodp.testing._kit import Kit
    from aiodp.testing._pipelines import Run


class LocalPipeline:
    """A pipeline which a test made."""

    def __init__(self, pipeline_id: str, kit: Kit) -> None:
        self.id = pipeline_id
        self._kit = kit

    def __repr__(self) -> str:
        return f"<LocalPipeline {self.id}>"

    @property
    def state(self) -> Status:
        """Its state, such as SCHEDULED or FINISHED."""
        with self._kit._model() as service:
            return goals.pipeline_record(service, self).state

    @property
    def runs(self) -> tuple[Run, ...]:
        """Its instances as they are now."""
        return self._kit.runs(self)

    def activate(self) -> None:
        """ActivatePipeline; a pipeline on demand runs once more."""
        self._call("ActivatePipeline")

    def deactivate(self, *, cancel_active: bool = True) -> None:
        """DeactivatePipeline, which cancels what runs unless told otherwise."""
        self._call("DeactivatePipeline", cancelActive=cancel_active)

    def delete(self) -> None:
        """DeletePipeline."""
        self._call("DeletePipeline")

    def _call(self, operation: str, **params: Any) -> None:
        with self._kit._model() as service:
            call(service, operation, pipelineId=self.id, **params)
