"""An asyncio event loop on virtual time: hours of heartbeats pass in milliseconds.

Trio has the same as `trio.testing.MockClock(autojump_threshold=0)`. Virtual time does not wait for
sockets, so it is for the service in process; the service over HTTP is tested in scaled real time.
"""

from __future__ import annotations

import asyncio
import selectors


class _JumpingSelector(selectors.DefaultSelector):
    """Moves the loop's clock to the next timer instead of sleeping until then."""

    def __init__(self) -> None:
        super().__init__()
        self.offset = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # nothing is scheduled: only a thread or a signal can wake this loop
            return super().select(None)
        ready = super().select(0)
        if not ready and timeout > 0:
            self.offset += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An event loop whose `time()` jumps to the next timer as soon as nothing else can run.

    Use it as a loop factory: `asyncio.Runner(loop_factory=VirtualTimeLoop)`, or as the option
    `{"loop_factory": VirtualTimeLoop}` of anyio's `anyio_backend` fixture. Threads and
    processes are not waited for: time jumps on meanwhile.
    """

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Return the virtual time in seconds, which moves only when the loop is idle."""
        return self._jumping.offset

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002, ASYNC109 - of asyncio, from Python 3.12 on
        """Wait for the threads of `asyncio.to_thread`, in real time and without a limit."""
        await super().shutdown_default_executor()
