"""A server which is killed: state_server.py PORT STATE TIME_SCALE; it prints its port."""

from __future__ import annotations

import sys

from aiodp.emulator import EmulatorServer, Settings


def main() -> None:
    """Serve until the standard input ends."""
    port, state, time_scale = sys.argv[1:]
    settings = Settings(quotas=None)
    server = EmulatorServer(
        port=int(port), state=state, time_scale=float(time_scale), settings=settings
    )
    with server:
        print(server.port, flush=True)  # noqa: T201 - whoever started it waits for this line
        sys.stdin.read()


if __name__ == "__main__":
    main()
