"""What reaches a terminal."""

from __future__ import annotations

import io
import logging
import sys
from pathlib import Path

import pytest

import aiodp
from aiodp._core.text import printable
from aiodp.cli._main import run
from aiodp.cli._terminal import SafeTerminal, guard_terminals, unguarded

FOREIGN = "a\x1b]0;title\x07b\x1b[2Jc\x9b31md\u202ee\u2066f\x7fg\x00h\x08i"
ESCAPED = r"a\x1b]0;title\x07b\x1b[2Jc\x9b31md\u202ee\u2066f\x7fg\x00h\x08i"


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_control_codes_are_escaped():
    """Of a terminal, in both of their forms, and those that turn the direction of the text."""
    assert printable(FOREIGN) == ESCAPED
    assert printable("ä 中 🙂 \\x1b") == "ä 中 🙂 \\x1b"
    assert printable("a\nb\tc\ud800") == r"a\nb\tc\ud800"
    assert printable("a\nb\tc", keep="\n") == "a\nb\\tc"


def test_a_terminal_gets_lines_and_colors(monkeypatch):
    """Whatever prints them: a handler, a log of another library, a traceback."""
    tty = Tty()
    monkeypatch.setattr(sys, "stderr", tty)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    guard_terminals()
    print(FOREIGN, file=sys.stderr)  # noqa: T201 - as a handler does
    sys.stderr.writelines(["one\r\n", "\x1b[1;31mtwo\x1b[0m\t\u202e\n"])
    logging.StreamHandler().handle(logging.LogRecord("x", 30, "", 1, FOREIGN, None, None))
    expected = f"{ESCAPED}\none\r\n\x1b[1;31mtwo\x1b[0m\t\\u202e\n{ESCAPED}\n"
    assert tty.getvalue() == expected
    assert sys.stderr.isatty()
    assert unguarded(sys.stderr) is tty
    assert isinstance(sys.stdout, io.StringIO)


def test_what_is_no_terminal_gets_all(monkeypatch):
    """Files and pipes are for programs."""
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    stream = sys.stdout
    guard_terminals()
    assert sys.stdout is stream
    assert unguarded(stream) is stream
    assert not isinstance(stream, SafeTerminal)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--worker-group", "g", "--handler", FOREIGN],
        ["run", "--worker-group", "g", "--config", FOREIGN.replace("\0", "")],
        ["hold", f"--{FOREIGN}"],
        ["hold", FOREIGN, "--", "true"],
        ["doctor", "--log-uri", FOREIGN],
        ["emulate", "--load", FOREIGN.replace("\0", "")],
        ["validate", FOREIGN.replace("\0", "")],
        ["poll", "--worker-group", FOREIGN],
        [FOREIGN],
    ],
    ids=lambda arguments: printable(" ".join(arguments)[:20]),
)
def test_no_command_says_it_as_it_is(monkeypatch, arguments):
    """Not even what was given to it: a script may have it from somebody else."""
    tty = Tty()
    for name in ("", "aiodp"):  # commands add handlers, for the rest of their process
        monkeypatch.setattr(logging.getLogger(name), "handlers", [])
    monkeypatch.setattr(sys, "stderr", tty)
    monkeypatch.setattr(sys, "argv", ["aiodp", *arguments])
    guard_terminals()
    assert run() == 2
    text = tty.getvalue()
    assert text.endswith("\n")
    assert text.removesuffix("\n").isprintable()


def test_there_is_one_function_that_escapes():
    """Whatever shows what others wrote uses it."""
    source = Path(aiodp.__file__).parent
    users = [path for path in source.rglob("*.py") if "unicode_escape" in path.read_text()]
    assert users == [source / "_core" / "text.py"]
