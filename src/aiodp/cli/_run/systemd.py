"""What systemd is told of a unit with Type=notify (sd_notify(3), sd_watchdog_enabled(3))."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from aiodp._concurrency import system_time

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from aiodp.cli._run.health import Health


class Systemd:
    """Tells systemd when the runner is ready, what it does, and that it is live.

    The variables that say where are taken out of the environment: what this process starts has
    nothing to tell.
    """

    def __init__(
        self,
        environment: MutableMapping[str, str] = os.environ,
        system_time: Callable[[], float] = system_time,
    ) -> None:
        self._address = environment.pop("NOTIFY_SOCKET", "")
        usec, process = environment.pop("WATCHDOG_USEC", ""), environment.pop("WATCHDOG_PID", "")
        is_watched = usec.isdecimal() and process in ("", str(os.getpid()))
        self._watchdog = int(usec) / 2e6 if is_watched else None
        self._system_time = system_time
        self._last_alive = -float("inf")
        self._told: set[str] = set()

    def tell(self, health: Health) -> None:
        """Tell what has changed."""
        sample = health.sample
        if not self._address or sample is None or sample.statistics.reports is None:
            return
        lines = [f"STATUS={_status(health)}", "READY=1"]
        if sample.is_draining:
            lines.append("STOPPING=1")
        new = [line for line in lines if line not in self._told]
        self._told = set(lines)
        now = self._system_time()
        due = self._watchdog is not None and now - self._last_alive >= self._watchdog
        if due and health.why_not_live() is None:
            self._last_alive = now
            new.append("WATCHDOG=1")
        if new:
            self._send("\n".join(new))

    def _send(self, text: str) -> None:
        address = self._address
        if address.startswith("@"):  # of the abstract namespace
            address = "\0" + address[1:]
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(text.encode(), address)


def _status(health: Health) -> str:
    sample = health.sample
    if sample is None:
        return ""
    now = sample.statistics
    ended = "".join(f", {count} {end}" for end, count in now.ended.items() if count)
    state = health.why_not_ready() or "it polls"
    return f"{state}; tasks: {now.running} running{ended}"
