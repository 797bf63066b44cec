"""The options of `aiodp hold`: the reporter that they make, and those that are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from click.testing import CliRunner

from aiodp import ProgressReporter
from aiodp.cli._hold import command
from aiodp.cli._hold.held_command import HeldCommand
from aiodp.cli._main import cli

if TYPE_CHECKING:
    from collections.abc import Callable

    from click.testing import Result

pytestmark = pytest.mark.usefixtures("no_aws_settings")


class Held(NamedTuple):
    """What `aiodp hold` would do."""

    command: HeldCommand
    reporter: dict[str, Any]
    tracked: dict[str, Any]


@pytest.fixture
def invoke(monkeypatch) -> Callable[..., tuple[Result, list[Held]]]:
    """Calls `aiodp hold` up to the start of the reporter; returns the result and what it made."""
    made: list[Held] = []

    class Reporter(ProgressReporter):
        def __init__(self, session: Any, **options: Any) -> None:
            super().__init__(session, **options)
            self.options = options

        def track(self, task_id: str, **options: Any) -> Any:
            super().track(task_id, **options)
            return {"task_id": task_id} | options

    async def run(held: HeldCommand, reporter: Any, tracked: Any) -> int:
        made.append(Held(held, reporter.options, tracked))
        return 0

    monkeypatch.setattr(command, "ProgressReporter", Reporter)
    monkeypatch.setattr(HeldCommand, "run", run)

    def call(*arguments: str, **environment: str) -> tuple[Result, list[Held]]:
        given = ["hold", *arguments, "task", "--", "true", "--flag"]
        return CliRunner().invoke(cli, given, env=environment), made

    return call


@pytest.fixture
def held(invoke) -> Callable[..., Held]:
    """Calls `aiodp hold` with these options; returns what it would do."""

    def call(*arguments: str, **environment: str) -> Held:
        made: list[Held]
        result, made = invoke(*arguments, **environment)
        assert result.exit_code == 0, result.output
        return made[-1]

    return call


def test_the_defaults_are_those_of_the_service_and_the_reporter(held):
    """A lease of five minutes, a report each minute, and a margin above the grace."""
    result = held()
    quota = result.reporter.pop("quota")
    assert (quota.rate, quota.burst) == (10, 100)
    assert result.reporter == {
        "region_name": None,
        "endpoint_url": None,
        "interval": 60,
        "ack_timeout": 120,
        "lease_timeout": 300,
        "safety_margin": 15,
        "attempt_timeout": 10,
    }
    assert (result.command._grace, result.command._set_status) == (10, False)
    assert result.command._argv == ("true", "--flag")


def test_a_time_scale_divides_all_durations(held):
    """And multiplies the calls that the service allows in a second."""
    result = held("--time-scale", "60")
    quota = result.reporter["quota"]
    assert (quota.rate, quota.burst) == (600, 100)
    assert result.reporter["interval"] == 1
    assert result.reporter["ack_timeout"] == 2
    assert result.reporter["lease_timeout"] == 5
    assert result.reporter["safety_margin"] == pytest.approx(15 / 60)
    assert result.reporter["attempt_timeout"] == 0.5
    assert result.command._grace == pytest.approx(10 / 60)


def test_a_time_scale_does_not_lengthen_the_timeout_of_an_attempt(held):
    """The network is as fast as with any service: ten seconds are enough for a call."""
    assert held("--time-scale", "2").reporter["attempt_timeout"] == 10
    assert held("--time-scale", "6").reporter["attempt_timeout"] == 5


def test_the_time_of_a_call_is_an_option(held):
    """In real seconds, at any time scale, and as an environment variable too."""
    for result in (
        held("--attempt-timeout", "25"),
        held("--attempt-timeout", "25", "--time-scale", "60"),
        held(AIODP_HOLD_ATTEMPT_TIMEOUT="25"),
    ):
        assert result.reporter["attempt_timeout"] == 25


def test_grace_and_margin_are_in_real_seconds(held):
    """They are about the machine, whatever the service's time scale; the others are not."""
    given = ["--grace", "0.1", "--safety-margin", "0.2", "--interval", "30"]
    result = held("--time-scale", "60", *given)
    assert result.command._grace == 0.1
    assert result.reporter["safety_margin"] == 0.2
    assert result.reporter["interval"] == 0.5


@pytest.mark.parametrize("grace", [0.0, 3.0, 25.0])
def test_the_margin_follows_the_grace(held, grace):
    """Five seconds more, in which the command is killed before the task's deadline."""
    assert held("--grace", str(grace)).reporter["safety_margin"] == grace + 5


@pytest.mark.parametrize("margin", ["4", "3.9"])
def test_a_grace_that_is_not_below_the_margin_is_refused(invoke, margin):
    """The command might run when somebody else has the task."""
    result, made = invoke("--grace", "4", "--safety-margin", margin)
    assert (result.exit_code, made) == (2, [])
    assert f"4 s are not below the safety margin of {margin} s" in result.output


def test_fields_are_given_to_the_reporter(held):
    """A key that is given twice has two values, and a value may hold the sign."""
    given = ["--field", "a=1", "--field", "b=x=y", "--field", "a=2"]
    assert held(*given).tracked == {"task_id": "task", "fields": {"a": ["1", "2"], "b": ["x=y"]}}
    assert held(AIODP_HOLD_FIELD="a=1\nb=2 3").tracked["fields"] == {"a": ["1"], "b": ["2 3"]}


@pytest.mark.parametrize("field", ["a", "=1", ""])
def test_a_field_without_a_key_or_a_value_is_refused(invoke, field):
    """Each is KEY=VALUE."""
    result, made = invoke("--field", field)
    assert (result.exit_code, made) == (2, [])
    assert "is not of the form KEY=VALUE" in result.output


def test_region_endpoint_and_status_are_handed_on(held):
    """As they are given."""
    result = held("--region", "eu-west-1", "--endpoint", "http://h:1", "--set-status")
    assert result.reporter["region_name"] == "eu-west-1"
    assert result.reporter["endpoint_url"] == "http://h:1"
    assert result.command._set_status is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--interval", "300"], "--interval (300 s) must be shorter than --lease-timeout"),
        (["--safety-margin", "300"], "--safety-margin (300 s) must be shorter than --lease-"),
        (["--field", "a\x01=b"], "field name 'a\\x01' holds the character"),
    ],
)
def test_what_the_reporter_refuses_is_named_as_an_option(invoke, arguments, words):
    """Not as an argument of Python."""
    result, made = invoke(*arguments)
    assert (result.exit_code, made) == (2, [])
    assert words in " ".join(result.output.split())
