"""Messages of the library as the commands say them: options, and no names of Python."""

from __future__ import annotations

import re

import anyio
import pytest
from aiobotocore.session import get_session

from aiodp import LeaseLost, ProgressReporter, ReportRejected
from aiodp._reporter.slow_calls import advice
from aiodp.cli._names import named_as_options
from aiodp.testing import Fault, FaultKind, MemoryService, VirtualTimeLoop

ARGUMENT = re.compile(r"[a-z]+_[a-z]+|[a-z]+=|\bstr\b")
"""A name of Python."""


def said(error: BaseException) -> str:
    """Return what a command says of an error, without what the service said."""
    return named_as_options(str(error))


@pytest.mark.parametrize("task_id", ["", "x" * 3000, "a\x01"])
def test_a_task_id_has_the_name_that_the_usage_gives_it(task_id):
    """TASK_ID."""
    with pytest.raises(ValueError, match="task_id") as caught:
        ProgressReporter(get_session()).track(task_id)
    assert said(caught.value).startswith("TASK_ID ")
    assert not ARGUMENT.search(said(caught.value))


@pytest.mark.parametrize(
    "options",
    [
        {"interval": 400},
        {"safety_margin": 500},
        {"safety_margin": -1},
        {"ack_timeout": 0},
        {"attempt_timeout": 0},
        {"lease_timeout": 0},
        {"max_lease": 0},
    ],
)
def test_timings_that_do_not_fit_are_options(options):
    """All that are in the message."""
    with pytest.raises(ValueError, match=next(iter(options))) as caught:
        ProgressReporter(get_session(), **options)
    assert "--" in said(caught.value)
    assert not ARGUMENT.search(said(caught.value))


def test_advice_names_the_option_alone():
    """Not that of the library beside it."""
    words = "within --attempt-timeout (10 s); if calls take longer than that, set a longer one: "
    assert named_as_options(advice(10)).endswith(f"{words}--attempt-timeout")


def test_a_region_that_is_none_is_an_option():
    """When no client can be made."""

    async def main() -> None:
        async with ProgressReporter(get_session(), region_name="x y"):
            pytest.fail("it must not open")

    with pytest.raises(ReportRejected) as caught:
        anyio.run(main)
    assert said(caught.value).endswith("(see --region, --endpoint-url and the AWS configuration)")
    assert not ARGUMENT.search(said(caught.value))


def test_a_lost_task_is_said_in_the_words_of_the_commands():
    """Also where the library would have a thread of its own report."""

    async def main() -> None:
        service = MemoryService()
        session = service.attach(get_session())
        async with ProgressReporter(session) as reporter:
            [task_id] = service.assign()
            service.faults.add(Fault(kind=FaultKind.HANG))
            async with reporter.track(task_id):
                pytest.fail("it must not begin")

    with pytest.raises(LeaseLost) as caught:
        anyio.run(main, backend_options={"loop_factory": VirtualTimeLoop})
    assert not ARGUMENT.search(said(caught.value))
