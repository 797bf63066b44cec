"""Which rows of the page's lists are shown: by text, status and worker group, in which order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from werkzeug.exceptions import BadRequest

from aiodp.emulator._model.records import Status
from aiodp.emulator._server.admin.input import whole

if TYPE_CHECKING:
    from aiodp.emulator._model.records import Attempt, Instance, Pipeline
    from aiodp.emulator._server.admin.input import Input

MAX_ROWS: Final = 100
"""Rows of one list, unless the page asks for more; it stays quick however much there is."""
MOST_ROWS: Final = 1000
PARAMETERS: Final = ("text", "status", "workerGroup", "order", "limit")
_ORDERS: Final = ("assigned", "lease")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a row must have, the order of tasks in progress, and how many rows there are at most.

    `text` is in lower case; it is looked for in ids, names, hosts and worker groups.
    """

    text: str = ""
    status: str = ""
    worker_group: str = ""
    by_lease: bool = False
    limit: int = MAX_ROWS

    def takes_pipeline(self, pipeline: Pipeline) -> bool:
        """Return whether a pipeline has the text; the rest is about attempts."""
        return self._is_in(pipeline.id, pipeline.name)

    def takes_attempt(self, attempt: Attempt) -> bool:
        """Return whether an attempt is one of those which are shown."""
        pipeline, group = attempt.pipeline, attempt.worker_group or ""
        return (
            self.status in ("", attempt.status)
            and self.worker_group in ("", group)
            and self._is_in(attempt.id, attempt.hostname, group, pipeline.id, pipeline.name)
        )

    def takes_instance(self, instance: Instance) -> bool:
        """Return whether an instance is, by its own status and what its newest attempt has."""
        head = instance.head
        group, host = (head.worker_group or "", head.hostname) if head else ("", "")
        return (
            self.status in ("", instance.status)
            and self.worker_group in ("", group)
            and self._is_in(instance.id, host, group)
        )

    def _is_in(self, *texts: str) -> bool:
        return not self.text or any(self.text in text.lower() for text in texts)


def selection_of(request: Input, *others: str) -> tuple[Selection, dict[str, str]]:
    """Return what the query selects, and its parameters with other names.

    Raises `BadRequest` for an unknown status or order, and for too many rows.
    """
    given = request.query(*PARAMETERS, *others)
    status, order = given.get("status", ""), given.get("order", _ORDERS[0])
    limit = whole("limit", given.get("limit", str(MAX_ROWS)))
    if status and status not in set(Status):
        raise BadRequest(f"there is no status {status!r}")
    if order not in _ORDERS:
        raise BadRequest(f"order must be one of {', '.join(_ORDERS)}, not {order!r}")
    if limit > MOST_ROWS:
        raise BadRequest(f"limit must be at most {MOST_ROWS}, not {limit}")
    selection = Selection(
        text=given.get("text", "").lower(),
        status=status,
        worker_group=given.get("workerGroup", ""),
        by_lease=order == "lease",
        limit=limit,
    )
    return selection, given
