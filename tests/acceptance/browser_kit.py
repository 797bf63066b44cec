"""A headless Chromium, and pages of other origins for it."""

from __future__ import annotations

import shutil
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR
from threading import Thread
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium import webdriver

CHROMIUM: Final = shutil.which("chromium")
DRIVER: Final = shutil.which("chromedriver")
needs_chromium: Final = pytest.mark.skipif(
    not (CHROMIUM and DRIVER), reason="chromium and chromedriver are not on the PATH"
)
FOREIGN: Final = "evil.example"
"""A name that leads the browser to this machine, as the name of a page on the web may."""
UNTRUSTED: Final = "emulator"
"""A name of this machine which browsers trust less than localhost."""
_OPTIONS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
    f"--host-resolver-rules=MAP {FOREIGN} 127.0.0.1, MAP {UNTRUSTED} 127.0.0.1",
)


@contextmanager
def open_browser(profile: Path) -> Iterator[webdriver.Chrome]:
    """Run a headless Chromium with that folder as its profile."""
    from selenium import webdriver  # noqa: PLC0415 - only for those who have the browser
    from selenium.webdriver.chrome.service import Service  # noqa: PLC0415

    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for option in (*_OPTIONS, f"--user-data-dir={profile}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield driver
    finally:
        driver.quit()


class _Handler(BaseHTTPRequestHandler):
    """Answers any GET with an empty page."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>somebody else's</title>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the overridden name
        """Log nothing."""


class _Site(ThreadingHTTPServer):
    """Remembers its connections: a browser opens some in advance, and would ask there later."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._connections: list[Any] = []

    def process_request(self, request: Any, client_address: Any) -> None:
        self._connections.append(request)
        super().process_request(request, client_address)

    def hang_up(self) -> None:
        """End the connections that are open still."""
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)


@contextmanager
def foreign_site() -> Iterator[int]:
    """Serve a page on a port of this machine; gives the port."""
    with _Site(("127.0.0.1", 0), _Handler) as site:
        serving = Thread(target=site.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        try:
            yield site.server_port
        finally:
            site.shutdown()
            serving.join()
            site.hang_up()
