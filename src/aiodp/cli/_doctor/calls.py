"""Checks whether a task runner's calls are allowed, by calls that change nothing.

They name tasks and pipelines that do not exist: if the service answers so, the call is allowed. The
worker group that is polled does not exist either, as a poll of a real one might return a task, on
which nobody would work for two minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import anyio

from aiodp._aws.advice import DENIED, remedy_of
from aiodp._aws.errors import TIMED_OUT, code_of, describe
from aiodp._aws.transport import call_service, is_genuine, malformed
from aiodp._types import Outcome, ReportKind
from aiodp.cli._doctor.clock import MEND as SET_THE_CLOCK
from aiodp.cli._doctor.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from aiodp.cli._doctor.findings import Report

CALL_TIMEOUT: Final = 3.0
_POLL_HELD_AFTER: Final = 2.0
"""Seconds after which a poll counts as held by the service, which holds it for 90."""
_UNANSWERED: Final = frozenset({ReportKind.TIMEOUT, ReportKind.CONNECTION})
_POLL: Final = "PollForTask"

_OF_THE_CLOCK: Final = frozenset(
    {"InvalidSignatureException", "RequestExpired", "SignatureDoesNotMatch"}
)
"""Codes that a wrong clock explains."""
BUSY: Final = "Find out who else calls the service in this account and region."


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeNames:
    """Names that exist nowhere."""

    token: str = field(default_factory=lambda: uuid4().hex[:12])

    @property
    def name(self) -> str:
        """A name for a task, a worker group and a task runner."""
        return f"aiodp-doctor-{self.token}"

    @property
    def pipeline_id(self) -> str:
        """A pipeline id of the service's form."""
        return f"df-{self.token.upper():A>20}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    """A call of task runners. Only some handlers make the ones that are not `required`."""

    action: str
    method: str
    members: Mapping[str, Any]
    required: bool = True


async def check_calls(
    client: Any, names: FakeNames, *, worker_group: str | None, skewed: bool, report: Report
) -> bool:
    """Make all calls at once, report a finding for each; return whether reports are answered.

    `skewed` says that the clock explains signatures that are refused.
    """
    calls = runner_calls(names)
    outcomes: dict[str, Outcome] = {}
    async with anyio.create_task_group() as group:
        for needed in calls:
            group.start_soon(
                _call_one, client, needed, outcomes, name=f"aiodp doctor {needed.action}"
            )
    answered = any(outcome.kind not in _UNANSWERED for outcome in outcomes.values())
    denied = [needed for needed in calls if code_of(outcomes[needed.action].error) in DENIED]
    for needed in calls:
        outcome = outcomes[needed.action]
        if needed.action == _POLL:
            found = poll_finding(outcome, answered=answered, worker_group=worker_group)
        else:
            found = call_finding(needed.action, outcome, required=needed.required)
        if skewed and code_of(outcome.error) in _OF_THE_CLOCK:
            found = replace(found, mend=SET_THE_CLOCK)
        elif len(denied) > 1 and needed in denied:
            found = replace(found, mend=allow(denied))
        report(found)
    reports = outcomes["ReportTaskProgress"].kind
    return reports in {ReportKind.OK, ReportKind.REFUSED, ReportKind.THROTTLED}


def call_finding(action: str, outcome: Outcome, *, required: bool) -> Finding:
    """Return the finding about a call."""
    words = describe(outcome.error)
    match outcome.kind:
        case ReportKind.OK | ReportKind.REFUSED:
            return Finding.ok(action, "allowed")
        case ReportKind.CONFIGURATION if code_of(outcome.error) in DENIED:
            return _denied(action, words, required=required)
        case ReportKind.CONFIGURATION:
            mend = remedy_of(code_of(outcome.error), action)
            return Finding.failed(action, words, mend)
        case ReportKind.TIMEOUT:
            return Finding.failed(action, f"no answer within {CALL_TIMEOUT:g} s", "Try again.")
        case ReportKind.THROTTLED | ReportKind.INVALID | ReportKind.SERVER_ERROR:
            found = f"not known whether it is allowed: {words}"
            mend = BUSY if outcome.kind is ReportKind.THROTTLED else "Try again."
            return Finding.warning(action, found, mend)
        case _:
            return Finding.failed(
                action, words, "Try again; if it stays so, look for a proxy on the way."
            )


def poll_finding(outcome: Outcome, *, answered: bool, worker_group: str | None) -> Finding:
    """Return the finding about the poll; `answered` says whether another call was answered."""
    if outcome.kind is ReportKind.TIMEOUT and answered:
        return Finding.ok(_POLL, "allowed; held, as there is no task")
    if outcome.kind is ReportKind.CONFIGURATION and code_of(outcome.error) in DENIED:
        real = f" for {worker_group}" if worker_group else ""
        return Finding.warning(
            _POLL,
            f"refused for a made-up worker group: {describe(outcome.error)}",
            f"Nothing, if a condition on datapipeline:workerGroup allows it{real} (that group is "
            f"not polled here, as a task might get lost); else allow datapipeline:{_POLL} on "
            f"resource *.",
        )
    return call_finding(_POLL, outcome, required=True)


async def call(
    client: Any,
    method: str,
    members: Mapping[str, Any],
    timeout: float,  # noqa: ASYNC109 - a limit of the whole call
) -> Outcome:
    """Make a call and return its outcome, in at most `timeout` seconds."""
    answer: dict[str, Any] | Outcome = TIMED_OUT
    with anyio.move_on_after(timeout):
        answer = await call_service(getattr(client, method)(**members))
    if isinstance(answer, Outcome):
        return answer
    return Outcome(kind=ReportKind.OK) if is_genuine(answer) else malformed(method, answer)


async def _call_one(client: Any, needed: _Call, outcomes: dict[str, Outcome]) -> None:
    timeout = _POLL_HELD_AFTER if needed.action == _POLL else CALL_TIMEOUT
    outcomes[needed.action] = await call(client, needed.method, needed.members, timeout)


def runner_calls(names: FakeNames) -> tuple[_Call, ...]:
    """Return the calls of a task runner, in the order of their findings."""
    name, pipeline = names.name, {"pipelineId": names.pipeline_id}
    return (
        _Call(action=_POLL, method="poll_for_task", members={"workerGroup": name}),
        _Call(action="ReportTaskProgress", method="report_task_progress", members={"taskId": name}),
        _Call(
            action="SetTaskStatus",
            method="set_task_status",
            members={"taskId": name, "taskStatus": "FAILED"},
        ),
        _Call(
            action="ReportTaskRunnerHeartbeat",
            method="report_task_runner_heartbeat",
            members={"taskrunnerId": name},
        ),
        _Call(
            action="DescribeObjects",
            method="describe_objects",
            members=pipeline | {"objectIds": [name]},
            required=False,
        ),
        _Call(
            action="QueryObjects",
            method="query_objects",
            members=pipeline | {"sphere": "ATTEMPT"},
            required=False,
        ),
        _Call(
            action="EvaluateExpression",
            method="evaluate_expression",
            members=pipeline | {"objectId": name, "expression": "#{1 + 1}"},
            required=False,
        ),
    )


def allow(denied: Iterable[_Call]) -> str:
    """Return the one permission to give for several calls that are denied."""
    needed = [f"datapipeline:{call.action}" for call in denied if call.required]
    others = [f"datapipeline:{call.action}" for call in denied if not call.required]
    texts = [f"Allow {', '.join(needed or others)} on resource *"]
    if needed and others:
        texts.append(f"handlers that ask about their pipeline need {', '.join(others)} as well")
    elif others:
        texts.append("only handlers that ask about their pipeline need them")
    return f"{'; '.join(texts)}."


def _denied(action: str, words: str, *, required: bool) -> Finding:
    mend = f"Allow datapipeline:{action} on resource *."
    if required:
        return Finding.failed(action, words, mend)
    return Finding.warning(
        action, words, f"{mend} Only handlers that ask about their pipeline need it."
    )
