"""`aiodp demo` as it is installed, in a process of its own: in a pipe and on a terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
from contextlib import contextmanager
from typing import Any, NamedTuple

import anyio
import pytest
from click.testing import CliRunner

from acceptance.support import CREDENTIALS, kept_environment
from aiodp.cli._demo import scenario
from aiodp.cli._demo.command import demo as demo_command

LONGEST = 30
PROMISES = 9
UNREAD = 141
TITLE = "aiodp demo  "
NOWHERE = "http://127.0.0.1:9"
DISTURBING = {
    "AWS_PROFILE": "nobody",
    "AWS_CONFIG_FILE": "/nowhere/config",
    "AWS_ENDPOINT_URL": NOWHERE,
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_RETRY_MODE": "nonsense",
    "HTTP_PROXY": NOWHERE,
    "http_proxy": NOWHERE,
    "ALL_PROXY": NOWHERE,
    "FORCE_COLOR": "1",
    "PYTHONIOENCODING": "ascii",
}


class Done(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def demo(commands):
    """Starts `aiodp demo` with a pipe for its output, or with what is given."""

    @contextmanager
    def start(environment: dict[str, str] | None = None, **streams: Any):
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
        environment = kept_environment() | CREDENTIALS | (environment or {})
        with commands.start("demo", env=environment, **streams) as process:
            try:
                yield process
            finally:
                process.kill()

    return start


@pytest.fixture(scope="module")
def usual(demo):
    """A run in a pipe, and one on a small terminal: not at once, for each has its own time."""
    return run_plainly(demo), run_on_terminal(demo, 80, 24)


@pytest.fixture(scope="module")
def unusual(demo, aiodp):
    """A run of the installed command where all disturbs it, and one on a large terminal."""
    environment = kept_environment() | CREDENTIALS | DISTURBING
    done = subprocess.run(
        [aiodp, "demo"], env=environment, capture_output=True, text=True, check=False
    )
    return Done(done.returncode, done.stdout, done.stderr), run_on_terminal(demo, 200, 60)


def run_on_terminal(demo, columns: int, rows: int) -> Done:
    """Run the demo to its end on a terminal of some size; return what it wrote there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    with demo({"TERM": "xterm-256color"}, stdout=theirs, stdin=theirs) as process:
        os.close(theirs)
        out = b"".join(iter(lambda: _read(ours), b"")).decode()
        err = process.stderr.read()
        code = process.wait()
    os.close(ours)
    return Done(code, out, err)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux's way to say that the other side was closed
        return b""


def run_plainly(demo) -> Done:
    with demo() as process:
        out, err = process.communicate()
    return Done(process.returncode, out, err)


def assert_all_was_shown(text: str) -> None:
    assert re.search(r"kept +35 .*\n.*canceled +6 .*: 07 14 21 28 37 39\s", text)
    assert re.search(r"lost +1  01: its worker went silent, .*attempt 2", text)
    assert re.search(
        r"reports +\d+  sent: \d+ succeeded, [1-9]\d* throttled, [1-9]\d* failed", text
    )
    for kind in ("server_error", "connection", "timeout"):
        assert re.search(rf"by kind of failure: .*[1-9]\d* {kind}", text)
    assert f"All {PROMISES} promises were kept." in text


@pytest.mark.slow
def test_it_keeps_its_promises_in_plain_lines(usual):
    """In a pipe it tells each act and each promise in a line, in time, and exits with 0."""
    done, _ = usual
    assert (done.code, done.err) == (0, ""), done.out
    assert "\x1b" not in done.out
    assert "\r" not in done.out
    assert_all_was_shown(done.out)
    assert done.out.count("  ✓ ") == PROMISES
    for act in (
        "helloworld.json of AWS, and 40 longer tasks",
        "silent: 01",
        "hello: the command says 'Hello World!'",
        "canceled in the service: 07 14 21 28",
        "the service answers 500 InternalServiceError",
        "the service resets connections",
        "the service does not answer",
        "the service throttles every call",
    ):
        assert act in done.out
    for state, label in (("lost", "01"), ("held", "01/2"), ("finished", "01/2")):
        assert re.search(rf"{state}: (.* )?{label}( |$)", done.out, re.MULTILINE)  # maybe not alone


@pytest.mark.slow
def test_nothing_of_the_users_disturbs_it(unusual):
    """Neither profiles, endpoints, proxies nor an encoding without ticks change how it ends."""
    done, _ = unusual
    assert (done.code, done.err) == (0, ""), done.out
    assert "\x1b" not in done.out
    assert done.out.isascii()
    assert_all_was_shown(done.out)
    assert done.out.count("  ok ") == PROMISES


@pytest.mark.slow
@pytest.mark.parametrize(("runs", "columns", "rows"), [("usual", 80, 24), ("unusual", 200, 60)])
def test_it_draws_a_table_which_fits_the_terminal(request, runs, columns, rows):
    """On a terminal every task's state, progress and lease left are in a table that fits it."""
    _, done = request.getfixturevalue(runs)
    assert (done.code, done.err) == (0, ""), done.out
    *frames, end = as_text(done.out).split(TITLE)[1:]
    assert len(frames) > 20
    assert max(len(frame.splitlines()) for frame in frames) <= rows - 1
    assert max(len(line) for frame in frames for line in frame.splitlines()) <= columns
    whole = "\n".join(frames)
    for number in range(2, 41):
        assert re.search(rf"\b{number:02}    held .* \d+% +\d+ s", whole)
    assert re.search(r"\b01    silent +\d+ s", whole)
    assert re.search(r"\b01    lost", whole)
    assert re.search(r"\b01/2  held ", whole)
    assert re.search(r"\bhello finished", whole)
    assert_all_was_shown(end)


@pytest.mark.parametrize(
    "until",
    [
        "two pipelines are active",
        pytest.param("the service does not answer", marks=pytest.mark.slow),
    ],
)
def test_ctrl_c_ends_it_at_once(demo, until):
    """Before or during an outage: it says so in a line, without an end, and exits with 130."""
    with demo() as process:
        for line in process.stdout:
            if until in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LONGEST)
    assert (process.returncode, err) == (130, "")
    assert out.endswith("aiodp demo: interrupted, so no promise was judged.\n")


@pytest.mark.slow
def test_it_gives_up_in_time_and_says_what_is_missing(monkeypatch):
    """If the scenario gets stuck, it ends before its limit, names what has no end, exits with 1."""
    monkeypatch.setattr(scenario, "TIME_LIMIT", 5.0)
    monkeypatch.setattr(scenario.Scenario, "_cancel", lambda *_: anyio.sleep_forever())
    done = CliRunner().invoke(demo_command, standalone_mode=False)
    assert done.exception is None
    assert done.return_value == 1
    outcomes = re.findall(
        r"^  (kept|canceled|lost|failed|no end) +(\d+)", done.output, re.MULTILINE
    )
    handed_out = re.search(r"tasks, handed out (\d+) times", done.output)
    assert handed_out is not None
    assert sum(int(count) for _, count in outcomes) == int(handed_out[1])
    assert re.search(r"^  no end +\d+  01", done.output, re.MULTILINE)
    assert "given up: this takes longer than 5 s" in done.output
    without_end = re.search(r"came to exactly one end\n((?: {6}.*\n)+)", done.output)
    assert without_end is not None
    assert re.search(r"^ +@.*silent at its worker$", without_end[1], re.MULTILINE)
    assert re.search(r"^\d of 9 promises were broken\.$", done.output, re.MULTILINE)


def as_text(written: str) -> str:
    """Return what a terminal was told to show, without the codes for colors and the cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).replace("\r", "")


def test_it_ends_quietly_when_nobody_reads_on(demo):
    """`aiodp demo | head -1` is no broken promise, and no traceback."""
    with demo() as process:
        assert "two pipelines are active" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(LONGEST) == UNREAD
