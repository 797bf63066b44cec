"""The event loop on virtual time."""

from __future__ import annotations

import asyncio
import threading

from aiodp.testing import VirtualTimeLoop


def test_the_threads_of_the_executor_are_waited_for_in_real_time():
    """Virtual time would jump over the limit that asyncio sets from Python 3.12 on."""
    loop = VirtualTimeLoop()
    go_on = threading.Event()
    waiting = loop.run_in_executor(None, go_on.wait)
    loop.run_until_complete(asyncio.sleep(7))
    threading.Timer(0.05, go_on.set).start()
    loop.run_until_complete(loop.shutdown_default_executor())
    assert loop.time() == 7
    loop.run_until_complete(waiting)
    loop.close()
