"""The command `aiodp` before any of its commands does something."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from acceptance.support import ROOT, SAMPLE

TOO_LONG = 60
START = "import sys; from _aiodp_command import main; sys.exit(main())"


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param("asyncio.base_events", marks=pytest.mark.slow),
        pytest.param("botocore.session", marks=pytest.mark.slow),
        "aiodp._reporter.engine",
    ],
)
def test_an_interrupt_while_it_is_imported_ends_it_without_a_traceback(clean_environment, begun):
    """Of what it needs, and of itself: the process dies of the signal, as every program does."""
    process = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-c", START, "run", "--help"],
        env=clean_environment | {"PYTHONPATH": str(ROOT / "src")},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    with process:
        imported = next(line for line in process.stderr if line.rstrip().endswith(f" {begun}"))
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert imported
    assert "Traceback" not in rest
    assert process.returncode in (-signal.SIGINT, 128 + signal.SIGINT, 0)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "--worker-group", "wg"],
        pytest.param(
            ["run", "--worker-group", "wg", "--handler", "X=module:function"],
            marks=pytest.mark.slow,
        ),
        pytest.param(["emulate", "--port", "0", "--state", "relative"], marks=pytest.mark.slow),
    ],
    ids=["run", "handler", "emulate"],
)
def test_a_working_directory_that_is_gone_is_wrong_use(clean_environment, tmp_path, arguments):
    """One line says so, and what to do."""
    place = tmp_path / "gone"
    place.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", f"import os; os.rmdir(os.getcwd())\n{START}", *arguments],
        cwd=place,
        env=clean_environment | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=False,
        timeout=TOO_LONG,
    )
    message = "aiodp: the working directory is gone: change to one that exists.\n"
    assert (done.returncode, done.stderr) == (2, message)


@pytest.mark.parametrize(
    "arguments",
    [
        *([command, "--region="] for command in ("run", "hold", "doctor")),
        *(
            ["run", f"{option}="]
            for option in (
                "--accessId",
                "--secretKey",
                "--proxyHost",
                "--proxyUsername",
                "--output",
            )
        ),
    ],
    ids=" ".join,
)
def test_an_empty_option_is_refused(commands, clean_environment, arguments):
    """A variable that a script has not set must not mean: as if the option was not given."""
    done = commands.run(*arguments, env=clean_environment, timeout=TOO_LONG)
    assert done.returncode == 2
    assert f"{arguments[1][:-1]}'" in done.stderr
    assert "it is empty; give a value, or leave it out." in done.stderr


def test_definitions_are_validated_without_a_server(commands, clean_environment, tmp_path):
    """The exit code tells whether there are errors."""
    faulty = tmp_path / "faulty.json"
    faulty.write_text('{"objects": [{"id": "A", "type": "Nothing"}]}')
    sound = commands.run("validate", SAMPLE, env=clean_environment, timeout=TOO_LONG)
    assert (sound.returncode, sound.stderr) == (0, "")
    done = commands.run("validate", SAMPLE, faulty, env=clean_environment, timeout=TOO_LONG)
    assert done.returncode == 1
    assert f"{faulty}:1: error: A.type: INVALID_FIELD_VALUE" in done.stdout


@pytest.mark.parametrize("closed", [">&-", pytest.param("2>&-", marks=pytest.mark.slow)])
def test_a_closed_stream_is_no_fault(aiodp, clean_environment, closed):
    """What is written there is dropped, as some services start programs."""
    script = f'exec "$0" doctor --region us-east-1 --endpoint http://127.0.0.1:1 {closed}'
    done = subprocess.run(
        ["sh", "-c", script, aiodp],
        env=clean_environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=TOO_LONG,
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert ("to mend" in done.stdout) is (closed == "2>&-")


PRINTING = [
    *([command, "--help"] for command in ("run", "hold", "poll")),
    ["--version"],
    ["validate", SAMPLE],
    ["doctor", "--region", "us-east-1", "--endpoint", "http://127.0.0.1:1"],
    ["emulate", "--port", "0"],
    pytest.param(["demo"], marks=pytest.mark.slow),
]


@pytest.mark.parametrize("arguments", PRINTING, ids=lambda given: str(given[0]))
def test_output_that_cannot_be_written_is_told(commands, clean_environment, arguments):
    """A full disk, or a quota, is named in a line, and has an exit code of its own."""
    with (
        Path("/dev/full").open("w") as full,
        commands.start(
            *arguments, env=clean_environment, stdout=full.fileno(), stderr=subprocess.PIPE
        ) as process,
    ):
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(TOO_LONG) == 74
    assert said == "aiodp: stdout cannot be written: No space left on device.\n"


@pytest.mark.parametrize("arguments", PRINTING, ids=lambda given: str(given[0]))
def test_output_that_nobody_reads_ends_it_quietly(commands, clean_environment, arguments):
    """As `head -1` ends every program: by the code of a process that died of SIGPIPE."""
    theirs, ours = os.pipe()
    os.close(theirs)
    with commands.start(
        *arguments, env=clean_environment, stdout=ours, stderr=subprocess.PIPE
    ) as process:
        os.close(ours)
        assert process.stderr is not None
        said = process.stderr.read()
        assert process.wait(TOO_LONG) == 128 + signal.SIGPIPE
    assert said == ""


def test_a_full_stderr_hides_no_exit_code(commands, clean_environment):
    """Wrong usage is wrong usage, though nobody can be told."""
    with (
        Path("/dev/full").open("w") as full,
        commands.start("doctor", "--nonsense", env=clean_environment, stderr=full.fileno()) as done,
    ):
        assert done.wait(TOO_LONG) == 2
