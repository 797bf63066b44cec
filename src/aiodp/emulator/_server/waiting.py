"""How a request waits for its answer: a long poll, a slow answer, and one that never comes."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiodp.emulator._model.replies import Answer, Hang, Reset, Slow

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._clock import Clock
    from aiodp.emulator._model.replies import Pending, Reply
    from aiodp.emulator._model.service import Service

CLIENT_CHECK_INTERVAL: Final = 1.0
"""Real seconds after which a waiting request checks again whether its client is still there."""
MIN_PAUSE: Final = 0.001  # a wait that rounds to nothing would spin


class DroppedConnectionError(ConnectionError):
    """The service ends the connection instead of answering; `reset`: with a TCP reset.

    `outcome` is the fault's name if a fault is the reason, else "dropped".
    """

    def __init__(self, *, reset: bool = False, outcome: str = "dropped") -> None:
        super().__init__("the service dropped the connection")
        self.reset = reset
        self.outcome = outcome


class Waiting:
    """How the requests to one service wait. The service's lock is held by whoever calls it.

    `pause` gives the lock back until something changes, for at most that many real seconds. It
    raises `DroppedConnectionError` if the service was reset or closed meanwhile.
    """

    def __init__(self, service: Service, clock: Clock, pause: Callable[[float], None]) -> None:
        self._service = service
        self._clock = clock
        self._give_back_lock = pause

    def wait_for(self, reply: Reply, gone: Callable[[], bool]) -> Answer:
        """Return the answer which `reply` leads to, once it is due.

        `gone` says whether the client has hung up. Raises `DroppedConnectionError` where there is
        no answer: by a fault, for a client which has gone, and as `pause` does.
        """
        match reply:
            case Answer():
                return reply
            case Reset(outcome=outcome):
                raise DroppedConnectionError(reset=True, outcome=outcome)
            case Hang(outcome=outcome):
                raise self._wait_for_client_to_go(outcome, gone)
            case Slow(delay=delay, reply=late):
                self._wait_until(self._service.now + delay, gone)
                return self.wait_for(late, gone)
            case _:
                return self._wait_poll(reply, gone)

    def _wait_poll(self, poll: Pending, gone: Callable[[], bool]) -> Answer:
        try:
            while True:
                event = self._service.next_event()
                self._pause(poll.deadline if event is None else min(event, poll.deadline), gone)
                answer = poll.resume()
                if answer is not None:
                    return answer
        finally:
            poll.abandon()

    def _wait_for_client_to_go(
        self, outcome: str, gone: Callable[[], bool]
    ) -> DroppedConnectionError:
        with suppress(DroppedConnectionError):  # the outcome of this call is the fault's
            self._wait_until(math.inf, gone)
        return DroppedConnectionError(outcome=outcome)

    def _wait_until(self, until: float, gone: Callable[[], bool]) -> None:
        while self._service.now < until:
            self._pause(until, gone)

    def _pause(self, until: float, gone: Callable[[], bool]) -> None:
        """Wait for a change, until that service time at most."""
        seconds = self._clock.real(until - self._service.now)
        self._give_back_lock(min(max(seconds, MIN_PAUSE), CLIENT_CHECK_INTERVAL))
        if gone():
            raise DroppedConnectionError
