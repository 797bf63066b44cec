"""A PollForTask which is held until there is work, or for the length of the long poll."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._model.replies import Answer


class Pending:
    """A held long poll.

    Nothing is assigned before `resume()` returns an answer, so an abandoned poll loses no task.
    """

    def __init__(
        self,
        *,
        deadline: float,
        answer: Callable[[], Answer | None],
        abandoned: Callable[[], None],
    ) -> None:
        self.deadline = deadline
        self._answer = answer
        self._abandoned = abandoned
        self._open = True

    def resume(self) -> Answer | None:
        """Return the answer if there is one now: a task, or none because the deadline passed.

        Call it at the deadline, at each `Service.next_event()` and after each call of a
        subscriber. Raises `RuntimeError` when the poll was answered or abandoned already.
        """
        if not self._open:
            raise RuntimeError("this poll has been answered or abandoned")
        answer = self._answer()
        self._open = answer is None
        return answer

    def abandon(self) -> None:
        """Forget the poll, as when its client has gone; harmless after the answer."""
        if self._open:
            self._open = False
            self._abandoned()
