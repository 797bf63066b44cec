"""Whether a task runner's calls are allowed, found out by calls that change nothing.

They are about tasks and pipelines that there are not: an answer which says so has passed the
permissions. The worker group that is polled is a made-up one, for a real one might hand out a task,
which nobody would work on for two minutes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

import anyio

from aiodp._aws.transport import TIMED_OUT, call_service, describe, is_genuine, malformed
from aiodp._types import Outcome, ReportKind
from aiodp.cli._doctor.findings import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiodp.cli._doctor.findings import Tell

PATIENCE: Final = 3.0
"""Seconds for an answer."""
_HELD: Final = 2.0
"""Seconds after which a poll counts as held; the service holds it for 90."""
_DENIED: Final = frozenset({"AccessDenied", "AccessDeniedException", "NotAuthorized"})
_SILENT: Final = frozenset({ReportKind.TIMEOUT, ReportKind.CONNECTION})
_POLL: Final = "PollForTask"

_REFUSED: Final = {
    "ExpiredToken": "Renew the credentials.",
    "ExpiredTokenException": "Renew the credentials.",
    "InvalidClientTokenId": "The access key is unknown there: check it, and its account.",
    "InvalidSignatureException": "Check the secret key, and the clock.",
    "OptInRequired": "Ask AWS: Data Pipeline is closed to new customers since 25 July 2024.",
    "RequestExpired": "Check the clock.",
    "SignatureDoesNotMatch": "Check the secret key, and the clock.",
    "UnknownOperationException": "Check the endpoint: it does not know Data Pipeline's calls.",
    "UnrecognizedClientException": "The access key is unknown there: check it, and its account.",
}
"""What to do about an error code of credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeUp:
    """Names that nobody else has."""

    token: str = field(default_factory=lambda: uuid4().hex[:12])

    @property
    def name(self) -> str:
        """A task id, a worker group, and a task runner's id."""
        return f"aiodp-doctor-{self.token}"

    @property
    def pipeline_id(self) -> str:
        """A pipeline, of the service's form."""
        return f"df-{self.token.upper():A>20}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Need:
    """A call of task runners; without one that is not `vital`, some tasks can be worked on."""

    action: str
    method: str
    members: Mapping[str, Any]
    vital: bool = True


async def examine_calls(
    client: Any, made_up: MadeUp, *, worker_group: str | None, tell: Tell
) -> bool:
    """Make all calls at once, tell a finding for each; return whether reports are answered."""
    needs = _needs(made_up)
    outcomes: dict[str, Outcome] = {}
    async with anyio.create_task_group() as group:
        for need in needs:
            group.start_soon(_make, client, need, outcomes, name=f"aiodp doctor {need.action}")
    heard = any(one.kind not in _SILENT for one in outcomes.values())
    for need in needs:
        outcome = outcomes[need.action]
        if need.action == _POLL:
            tell(judge_poll(outcome, heard=heard, worker_group=worker_group))
        else:
            tell(judge_call(need.action, outcome, vital=need.vital))
    reports = outcomes["ReportTaskProgress"].kind
    return reports in {ReportKind.OK, ReportKind.REFUSED, ReportKind.THROTTLED}


def judge_call(action: str, outcome: Outcome, *, vital: bool) -> Finding:
    """Return the finding about a call."""
    words = describe(outcome.error)
    match outcome.kind:
        case ReportKind.OK | ReportKind.REFUSED:
            return Finding(check=action, verdict=Verdict.OK, found="allowed")
        case ReportKind.CONFIGURATION if code_of(outcome) in _DENIED:
            return _denied(action, words, vital=vital)
        case ReportKind.CONFIGURATION:
            mend = _REFUSED.get(code_of(outcome), "Check the credentials.")
            return _failed(action, words, mend)
        case ReportKind.TIMEOUT:
            return _failed(action, f"no answer within {PATIENCE:g} s", "Try again.")
        case ReportKind.THROTTLED | ReportKind.INVALID | ReportKind.SERVER_ERROR:
            found = f"not known whether it is allowed: {words}"
            return _warning(action, found, "Try again; others may use up the account's calls.")
        case _:
            return _failed(action, words, "Try again; if it stays so, look for a proxy on the way.")


def judge_poll(outcome: Outcome, *, heard: bool, worker_group: str | None) -> Finding:
    """Return the finding about the poll; `heard` tells whether any other call was answered."""
    if outcome.kind is ReportKind.TIMEOUT and heard:
        return Finding(check=_POLL, verdict=Verdict.OK, found="allowed; held, as there is no task")
    if outcome.kind is ReportKind.CONFIGURATION and code_of(outcome) in _DENIED:
        real = f" for {worker_group}" if worker_group else ""
        return _warning(
            _POLL,
            f"refused for a made-up worker group: {describe(outcome.error)}",
            f"Nothing, if a condition on datapipeline:workerGroup allows it{real} (that group is "
            f"not polled here, lest a task get lost); else allow datapipeline:{_POLL} on "
            f"resource *.",
        )
    return judge_call(_POLL, outcome, vital=True)


async def call(client: Any, method: str, members: Mapping[str, Any], patience: float) -> Outcome:
    """Make a call and return what it means, within `patience` seconds."""
    answer: dict[str, Any] | Outcome = TIMED_OUT
    with anyio.move_on_after(patience):
        answer = await call_service(getattr(client, method)(**members))
    if isinstance(answer, Outcome):
        return answer
    return Outcome(kind=ReportKind.OK) if is_genuine(answer) else malformed(method, answer)


def code_of(outcome: Outcome) -> str:
    """Return the service's error code, empty if the error is none of the service."""
    response = getattr(outcome.error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


async def _make(client: Any, need: _Need, outcomes: dict[str, Outcome]) -> None:
    patience = _HELD if need.action == _POLL else PATIENCE
    outcomes[need.action] = await call(client, need.method, need.members, patience)


def _needs(made_up: MadeUp) -> tuple[_Need, ...]:
    name, pipeline = made_up.name, {"pipelineId": made_up.pipeline_id}
    return (
        _Need(action=_POLL, method="poll_for_task", members={"workerGroup": name}),
        _Need(action="ReportTaskProgress", method="report_task_progress", members={"taskId": name}),
        _Need(
            action="SetTaskStatus",
            method="set_task_status",
            members={"taskId": name, "taskStatus": "FAILED"},
        ),
        _Need(
            action="ReportTaskRunnerHeartbeat",
            method="report_task_runner_heartbeat",
            members={"taskrunnerId": name},
        ),
        _Need(
            action="DescribeObjects",
            method="describe_objects",
            members=pipeline | {"objectIds": [name]},
            vital=False,
        ),
        _Need(
            action="QueryObjects",
            method="query_objects",
            members=pipeline | {"sphere": "ATTEMPT"},
            vital=False,
        ),
        _Need(
            action="EvaluateExpression",
            method="evaluate_expression",
            members=pipeline | {"objectId": name, "expression": "#{1 + 1}"},
            vital=False,
        ),
    )


def _denied(action: str, words: str, *, vital: bool) -> Finding:
    mend = f"Allow datapipeline:{action} on resource *."
    if vital:
        return _failed(action, words, mend)
    return _warning(action, words, f"{mend} Only handlers that ask about their pipeline need it.")


def _warning(action: str, found: str, mend: str) -> Finding:
    return Finding(check=action, verdict=Verdict.WARNING, found=found, mend=mend)


def _failed(action: str, found: str, mend: str) -> Finding:
    return Finding(check=action, verdict=Verdict.FAILED, found=found, mend=mend)
