"""Whose requests the local service answers."""

from __future__ import annotations

import pytest
from werkzeug.exceptions import Forbidden

from aiodp.emulator import EmulatorServer
from aiodp.emulator._server.guard import Guard


def refused(guard: Guard, method: str = "POST", path: str = "/", **headers: str) -> bool:
    """Whether a request with these headers, their hyphens as underscores, is refused."""
    given = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    try:
        guard.check({"REQUEST_METHOD": method, "PATH_INFO": path} | given)
    except Forbidden:
        return True
    return False


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, False),
        ({"host": "evil.example"}, True),
        ({"host": "evil.example:5000"}, True),
        ({"host": "127.0.0.1.evil.example"}, True),
        ({"host": "localhost.evil.example"}, True),
        ({"host": "evil.example."}, True),
        ({"host": "evil-localhost.example"}, True),
        ({"host": "user@evil.example"}, True),
        ({"host": "[::1]:80"}, False),
        ({"host": "192.168.0.7"}, False),
        ({"host": "LOCALHOST:1"}, False),
        ({"host": "localhost."}, False),
        ({"host": "bucket.localhost:1"}, False),
        ({"host": "emulator:4566"}, False),
        ({"host": "host.containers.internal"}, False),
        ({"host": "127.0.0.1:1", "origin": "https://evil.example"}, True),
        ({"host": "127.0.0.1:1", "origin": "null"}, True),
        ({"host": "evil.example", "origin": "http://evil.example"}, True),
        ({"host": "localhost:1", "origin": "http://localhost:2"}, True),
        ({"host": "localhost:1", "origin": "https://localhost:1"}, True),
        ({"host": "localhost:1", "origin": "http://127.0.0.1:1"}, True),
        ({"host": "localhost:1", "origin": "http://localhost:1"}, False),
        ({"host": "localhost:1", "sec_fetch_site": "cross-site"}, True),
        ({"host": "localhost:1", "sec_fetch_site": "same-site"}, True),
        ({"host": "localhost:1", "sec_fetch_site": "same-origin"}, False),
        ({"host": "localhost:1", "sec_fetch_site": "none"}, False),
    ],
)
def test_what_a_foreign_page_may_have_sent_is_refused(headers, expected):
    """Programs may use any name that no page can have; of pages only its own is answered."""
    assert refused(Guard("127.0.0.1"), **headers) is expected


@pytest.mark.parametrize("host", ["[", "[::1", "a b.c", "\x00.x", "", ".", ":80", "a..b"])
def test_a_broken_host_is_foreign(host):
    """What is no host name is refused, and breaks nothing."""
    assert refused(Guard("127.0.0.1"), host=host)


def test_the_host_which_it_was_started_with_is_its_own():
    """A server may listen under a full name, or be told others, and S3 puts buckets before it."""
    guard = Guard("CI.example.org", ["Pipelines.example.net"])
    for host in ("ci.example.org:80", "pipelines.example.net", "bucket.pipelines.example.net"):
        assert not refused(guard, host=host)
    for host in ("example.org", "example.net", "evilpipelines.example.net"):
        assert refused(guard, host=host)


@pytest.mark.parametrize("name", ["", "http://ci.example.org", "ci.example.org:80", "a/b", "*"])
def test_an_allowed_host_is_a_name(name):
    """An URL or a pattern would never match, and is said at once."""
    with pytest.raises(ValueError, match="is a name without a port"):
        EmulatorServer(allowed_hosts=[name])


def test_get_changes_nothing_in_moto():
    """A browser may send a GET, of an image, without any header that says for whom."""
    guard = Guard("127.0.0.1")
    for path in ("/moto-api/seed", "/moto-api/recorder/replay-recording/"):
        assert refused(guard, "GET", path)
        assert refused(guard, "HEAD", path)
        assert not refused(guard, "POST", path)
    assert not refused(guard, "GET", "/moto-api/data.json")
