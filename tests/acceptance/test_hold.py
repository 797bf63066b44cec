"""`aiodp hold` in a process of its own, against the service over HTTP."""

from __future__ import annotations

import signal
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from aiodp._process.echoes import ECHO_WINDOW
from aiodp.emulator import EmulatorServer, Fault, FaultKind, Settings
from aiodp.testing import AuditKind, TaskState

if TYPE_CHECKING:
    from acceptance.commands import Commands

TOO_LONG = 60
UNHEARD = 'trap "" TERM; echo ready; while :; do sleep 0.1; done'
OBEDIENT = 'trap "echo bye; exit 0" TERM INT; echo ready; while :; do sleep 0.1; done'


@pytest.fixture
def server():
    """A lease lasts 15 seconds; the time to acknowledge is ample, for processes start slowly."""
    settings = Settings(acknowledge_timeout=20 * 20)
    with EmulatorServer(time_scale=20, settings=settings) as running:
        yield running


@pytest.fixture
def service(server):
    return server.service()


@pytest.fixture
def task_id(service):
    return service.assign()[0]


@pytest.fixture
def environment(server, clean_environment):
    """All options from the environment, scaled as the server is."""
    return clean_environment | {
        "AWS_EC2_METADATA_DISABLED": "true",
        "AIODP_HOLD_ENDPOINT_URL": server.endpoint,
        "AIODP_HOLD_INTERVAL": "0.5",
        "AIODP_HOLD_ACK_TIMEOUT": "20",
        "AIODP_HOLD_LEASE_TIMEOUT": "15",
        "AIODP_HOLD_SAFETY_MARGIN": "11",
        "AIODP_HOLD_GRACE": "0.5",
    }


@pytest.fixture
def hold(commands, environment):
    """Starts `aiodp hold`."""

    @contextmanager
    def start(*arguments: str, **more: str):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = commands.start("hold", *arguments, env=environment | more, **pipes)
        with process:
            try:
                yield process
            finally:
                process.kill()  # its guard ends the command

    return start


@pytest.fixture
def run(commands: Commands, environment):
    """Runs `aiodp hold` to its end; returns once nobody holds its output any more."""

    def run(*arguments: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
        return commands.run(
            "hold", *arguments, env=environment | more, stdin=stdin, timeout=TOO_LONG
        )

    return run


def ready(process) -> None:
    assert process.stdout.readline() == "ready\n"


def eventually(condition) -> None:
    """Return as soon as the condition holds; fail if it does not."""
    deadline = time.monotonic() + TOO_LONG
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def statuses(service, task_id) -> list[str]:
    return [event.detail for event in service.audit.of(task_id, AuditKind.STATUS)]


# The command's own end


def test_the_commands_exit_code_input_and_output_are_passed_on(run, task_id, service):
    """The command reads hold's input, writes its output, and its exit code is hold's."""
    done = run(task_id, "--", "sh", "-c", "cat; echo oops >&2; exit 3", stdin="in\n")
    assert (done.returncode, done.stdout) == (3, "in\n")
    assert "oops\n" in done.stderr
    assert service.task(task_id).reports >= 1
    assert statuses(service, task_id) == []


def test_death_by_a_signal_is_128_and_its_number(run, task_id):
    """A command killed by SIGKILL gives 137, as in a shell."""
    assert run(task_id, "--", "sh", "-c", "kill -9 $$").returncode == 137


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [("no-such-command", 127, "No such file"), ("/dev/null", 126, "Permission denied")],
)
def test_a_command_that_cannot_be_run_is_said(run, task_id, service, command, code, words):
    """Shells' exit codes, one line, and the task is FAILED if its status is to be set."""
    done = run("--set-status", "--quiet", task_id, "--", command)
    assert done.returncode == code
    assert done.stderr.count("\n") == 1
    assert f"{command} cannot be run: {words}" in done.stderr
    assert statuses(service, task_id) == ["FAILED"]


def test_what_is_foreign_is_escaped(run, task_id):
    """A command's name has no escape codes on the terminal."""
    done = run(task_id, "--", "no\x1b[2Jsuch\x9b31m\u202e")
    assert r"no\x1b[2Jsuch\x9b31m\u202e cannot be run" in done.stderr


# Fields and status


def test_success_is_reported_as_finished(run, task_id, service):
    """With --set-status, exit code 0 makes the task FINISHED."""
    assert run(task_id, "--set-status", "--", "true").returncode == 0
    assert statuses(service, task_id) == ["FINISHED"]


def test_failure_is_reported_with_its_reason(run, task_id, service, connect, server):
    """With --set-status, any other end makes the task FAILED and says why."""
    assert run(task_id, "--", "sh", "-c", "exit 9", AIODP_HOLD_SET_STATUS="1").returncode == 9
    assert statuses(service, task_id) == ["FAILED"]
    task = service.task(task_id)
    described = connect(server).describe_objects(
        pipelineId=task.pipeline_id, objectIds=[task.attempt_id]
    )
    fields = {f["key"]: f.get("stringValue") for f in described["pipelineObjects"][0]["fields"]}
    assert fields["errorId"] == "CommandFailed"
    assert fields["errorMessage"] == "exit code 9"


def test_fields_are_reported(run, task_id, service):
    """--field may be repeated, a repeated key makes a list, and only the first = divides."""
    run(task_id, "--field", "a=1", "--field", "b=x=y", "--field", "a=2", "--", "true")
    assert service.task(task_id).fields == {"a": ["1", "2"], "b": "x=y"}


def test_fields_come_from_the_environment_line_by_line(run, task_id, service):
    """The variable takes one field a line, so that values may have spaces."""
    run(task_id, "--", "true", AIODP_HOLD_FIELD="a=one two\nb=3")
    assert service.task(task_id).fields == {"a": "one two", "b": "3"}


def test_a_status_that_is_refused_has_an_exit_code_of_its_own(run, task_id, service):
    """The command was fine, but the service does not know: 124."""
    service.faults.add(Fault(kind=FaultKind.INVALID_REQUEST, actions=frozenset({"SetTaskStatus"})))
    done = run(task_id, "--set-status", "--", "true")
    assert done.returncode == 124
    assert "FINISHED was not acknowledged" in done.stderr


def test_a_status_in_doubt_has_an_exit_code_of_its_own(run, task_id, service):
    """It was applied, its answer was lost, and its repetition is refused: 120, and no "lost"."""
    fault = Fault(kind=FaultKind.RESET_AFTER, actions=frozenset({"SetTaskStatus"}), count=1)
    service.faults.add(fault)
    done = run(task_id, "--set-status", "--", "true")
    assert done.returncode == 120
    assert "FINISHED was sent without an answer" in done.stderr
    assert "others may have it" not in done.stderr
    assert statuses(service, task_id) == ["FINISHED"]


# Canceled and lost


def test_cancellation_terminates_the_command(hold, task_id, service):
    """The command of a canceled task gets SIGTERM, may clean up, and no status is set."""
    with hold("--set-status", task_id, "--", "sh", "-c", OBEDIENT) as process:
        ready(process)
        service.cancel(task_id)
        out, err = process.communicate(timeout=TOO_LONG)
    assert (process.returncode, out) == (121, "bye\n")
    assert "is canceled, so sh is terminated" in err
    assert service.task(task_id).told_canceled
    assert not [action for action, _ in service.calls if action == "SetTaskStatus"]


def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(hold, task_id, service):
    """Nobody stays: the output ends although SIGTERM is ignored."""
    with hold(task_id, "--", "sh", "-c", UNHEARD) as process:
        ready(process)
        service.cancel(task_id)
        process.communicate(timeout=TOO_LONG)
    assert process.returncode == 121


def test_grandchildren_are_terminated_too(hold, task_id, service):
    """The whole process group goes, even what ignores SIGTERM after its parent has gone."""
    command = f"sh -c '{UNHEARD}' & trap 'exit 0' TERM; wait"
    with hold(task_id, "--", "sh", "-c", command) as process:
        ready(process)
        service.cancel(task_id)
        process.communicate(timeout=TOO_LONG)  # the grandchild holds the output while it lives
    assert process.returncode == 121


def test_a_task_canceled_before_its_first_report_is_not_worked_on(run, task_id, service):
    """The first answer is a cancellation: the command is not started."""
    service.cancel(task_id)
    done = run(task_id, "--", "echo", "started")
    assert (done.returncode, done.stdout) == (121, "")


def test_a_task_that_is_not_ours_is_not_worked_on(run):
    """The service does not know the task: the command is not started."""
    done = run("unknown", "--", "echo", "started")
    assert (done.returncode, done.stdout) == (122, "")
    assert "lost (refused)" in done.stderr


def test_a_task_that_is_given_away_terminates_the_command(hold, task_id, service, connect, server):
    """A deleted pipeline takes its tasks away: lost at the next report."""
    with hold(task_id, "--", "sh", "-c", OBEDIENT) as process:
        ready(process)
        connect(server).delete_pipeline(pipelineId=service.task(task_id).pipeline_id)
        out, _ = process.communicate(timeout=TOO_LONG)
    assert (process.returncode, out) == (122, "bye\n")


@pytest.mark.slow
def test_a_hanging_service_loses_the_task_before_it_gives_it_away(hold, task_id, service):
    """The command, though deaf, is dead while the task is still ours: never two owners."""
    with hold(task_id, "--", "sh", "-c", UNHEARD) as process:
        ready(process)
        service.faults.add(Fault(kind=FaultKind.HANG))
        _, err = process.communicate(timeout=TOO_LONG)
        assert service.task(task_id).state is TaskState.HELD
    assert process.returncode == 122
    assert "is lost (expired)" in err


@pytest.mark.slow
def test_a_dead_service_loses_the_task(hold, task_id, server):
    """Nobody listens any more: lost when the lease runs out, not at the first refusal."""
    with hold(task_id, "--", "sh", "-c", OBEDIENT) as process:
        ready(process)
        stopped = time.monotonic()
        server.stop()
        out, err = process.communicate(timeout=TOO_LONG)
        taken = time.monotonic() - stopped
    assert (process.returncode, out) == (122, "bye\n")
    assert taken > 1
    assert "reports fail" in err
    assert "Traceback" not in err


# Signals


def test_a_signal_is_handed_on_and_heartbeats_last_until_the_command_has_ended(
    hold, task_id, service
):
    """The command cleans up for as long as it needs, and the task stays ours meanwhile."""
    command = "trap 'echo ready; read -r _; exit 7' TERM; echo ready; while :; do sleep 0.1; done"
    with hold(task_id, "--", "sh", "-c", command) as process:
        ready(process)
        process.send_signal(signal.SIGTERM)
        ready(process)
        reports = service.task(task_id).reports
        eventually(lambda: service.task(task_id).reports >= reports + 3)
        process.communicate("done\n", timeout=TOO_LONG)
    assert process.returncode == 7


def test_a_second_signal_kills(hold, task_id):
    """Whoever does not listen to SIGINT is killed by the next one."""
    command = 'trap "echo ready" INT; echo ready; while :; do sleep 0.1; done'
    with hold("--set-status", task_id, "--", "sh", "-c", command) as process:
        ready(process)
        process.send_signal(signal.SIGINT)
        ready(process)
        time.sleep(ECHO_WINDOW)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TOO_LONG)
    assert process.returncode == 137


def test_a_signal_before_the_acknowledgement_ends_it(hold, task_id, service):
    """Nothing runs yet, so nothing is started any more."""
    service.faults.add(Fault(kind=FaultKind.HANG))
    with hold("--ack-timeout", "3", task_id, "--", "echo", "started") as process:
        eventually(lambda: service.calls["ReportTaskProgress", "hang"])
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=TOO_LONG)
    assert (process.returncode, out) == (143, "")


def test_a_signal_ends_the_trying_to_set_a_status(hold, task_id, service):
    """The command has ended, the service does not answer, and somebody has lost patience: 124."""
    status = frozenset({"SetTaskStatus"})
    service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=status))
    with hold("--set-status", task_id, "--", "true") as process:
        eventually(lambda: service.calls["SetTaskStatus", "InternalServiceError"] >= 2)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=TOO_LONG)
    assert process.returncode == 124
    assert "SIGTERM: nothing more is done" in err


def test_a_stopped_command_is_terminated(hold, task_id, service):
    """Somebody stopped the command; SIGTERM reaches it all the same, long before the kill."""
    command = 'trap "echo bye; exit" TERM; echo ready; kill -STOP $$; while :; do sleep 0.1; done'
    with hold(task_id, "--grace", "2", "--", "sh", "-c", command) as process:
        ready(process)
        service.cancel(task_id)
        out, _ = process.communicate(timeout=TOO_LONG)
    assert (process.returncode, out) == (121, "bye\n")


@pytest.mark.slow
def test_it_is_not_suspended(hold, task_id, service):
    """Ctrl-Z would stop the heartbeats and leave the command running: it is not obeyed."""
    with hold(task_id, "--", "sh", "-c", OBEDIENT) as process:
        ready(process)
        process.send_signal(signal.SIGTSTP)
        reports = service.task(task_id).reports
        eventually(lambda: service.task(task_id).reports >= reports + 3)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=TOO_LONG)
    assert process.returncode == 0
    assert "not suspended" in err


def test_a_closed_terminal_costs_no_task(hold, task_id):
    """Messages that nobody can read are dropped, and SIGHUP is handed on as the others are."""
    quietly = "exec 2>/dev/null"  # or the shell would die of its own message
    command = f'{quietly}; trap "echo bye; exit 4" HUP; echo ready; while :; do sleep 0.1; done'
    with hold(task_id, "--", "sh", "-c", command) as process:
        ready(process)
        process.stderr.close()
        process.send_signal(signal.SIGHUP)
        assert process.stdout.read() == "bye\n"
        process.wait(TOO_LONG)
    assert process.returncode == 4


def test_what_nohup_ignores_stays_ignored(aiodp, environment, task_id):
    """SIGHUP ignored from the start is handed on to nobody."""
    script = 'trap "" HUP; exec "$0" hold "$@"'
    arguments = [task_id, "--", "sh", "-c", OBEDIENT]
    process = subprocess.Popen(
        ["sh", "-c", script, aiodp, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        ready(process)
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=TOO_LONG)
    assert (process.returncode, out) == (0, "bye\n")
    assert "SIGHUP" not in err


def test_the_command_does_not_outlive_hold(hold, task_id, service):
    """Killed by SIGKILL, hold cannot keep the task; its guard ends the command."""
    with hold(task_id, "--", "sh", "-c", UNHEARD) as process:
        eventually(lambda: service.task(task_id).reports >= 2)
        process.kill()
        process.communicate(timeout=TOO_LONG)
    assert process.returncode == -signal.SIGKILL


# Configuration and wrong use


def test_missing_permission_is_said_at_once(run, task_id, service):
    """A configuration error is no loss: an exit code of its own, and what to check."""
    service.faults.add(Fault(kind=FaultKind.ACCESS_DENIED))
    done = run(task_id, "--", "echo", "started")
    assert (done.returncode, done.stdout) == (123, "")
    assert "datapipeline:ReportTaskProgress" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("missing", "words"),
    [("AWS_ACCESS_KEY_ID", "credentials"), ("AWS_DEFAULT_REGION", "region")],
)
def test_missing_configuration_is_said_at_once(run, environment, missing, words, tmp_path):
    """Without credentials or a region nothing can be sent: 123."""
    del environment[missing]
    nowhere = str(tmp_path / "none")
    files = {"AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere}
    environment |= {"HOME": str(tmp_path), **files}
    done = run("task", "--", "true")
    assert done.returncode == 123
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--interval", "-3"], "'-3' is not a number of seconds above 0"),
        (["--lease-timeout", "nan"], "'nan' is not a number of seconds above 0"),
        (["--grace", "soon"], "'soon' is not a number of seconds of at least 0"),
        (["--grace", "11"], "11 s are not below the safety margin of 11 s"),
        (["--interval", "5"], "--interval (5 s) must be shorter than --lease-timeout"),
        (["--safety-margin", "16"], "--safety-margin (16 s) must be shorter than --lease-timeout"),
        (["--field", "novalue"], "'novalue' is not of the form KEY=VALUE"),
        (["--field", "x" * 257 + "=1"], "257 bytes, the limit is 256"),
        (["--field", "x=" + "y" * 10_241], "10,241 bytes, the limit is 10,240"),
        (["--endpoint-url", "localhost:80"], "'localhost:80' is not of the form http[s]://HOST"),
        (["--endpoint-url", "http://h:x"], "'http://h:x' is not of the form http[s]://HOST"),
    ],
)
def test_wrong_use_is_one_line(run, service, task_id, arguments, words):
    """Exit code 2 and one line, which names the value and the limit; nothing is sent."""
    done = run(*arguments, task_id, "--", "echo", "started")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr
    assert not service.calls


@pytest.mark.parametrize("length", [0, 2049])
def test_an_impossible_task_id_is_refused(run, length):
    """The API's limits hold: 1 to 2,048 characters."""
    done = run("x" * length, "--", "true")
    assert done.returncode == 2
    assert f"1 to 2,048 characters, not {length:,}" in done.stderr


def test_a_command_must_be_given(run):
    """Nothing to run is a wrong use."""
    done = run("task")
    assert done.returncode == 2
    assert "COMMAND" in done.stderr


def test_quiet_says_nothing_but_errors(run, task_id):
    """Success is silent."""
    done = run("-q", "--set-status", task_id, "--", "true")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_help_reads_well_at_80_columns(run):
    """Each exit code is documented, and each option has an environment variable."""
    done = run("--help", COLUMNS="80")
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 80
    assert all(f"\n    {code}  " in done.stdout for code in range(120, 128))
    assert done.stdout.count("AIODP_HOLD_") == done.stdout.count("\n  -") - 1  # --help has none


def test_it_needs_nothing_of_the_emulator(aiodp, environment):
    """A machine that runs hold needs no moto."""
    code = "import aiodp.cli._hold.command, sys; sys.exit('moto' in sys.modules)"
    python = Path(aiodp).with_name("python")
    subprocess.run([python, "-c", code], env=environment, check=True)
