"""The control paths: what each does with a request, and its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from werkzeug.exceptions import BadRequest, NotFound

from aiodp._core.period import parse_period
from aiodp._core.text import shorten
from aiodp.emulator._errors import ServiceError
from aiodp.emulator._model.faults import Fault, FaultKind
from aiodp.emulator._server.admin.input import Member, whole
from aiodp.emulator._server.admin.pipelines import make_pipeline, rerun, show_pipeline
from aiodp.emulator._server.admin.views import shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._model.faults import ActiveFault
    from aiodp.emulator._server.admin.input import Input
    from aiodp.emulator._server.locked import LockedService

ROOT: Final = "/aiodp-api/"
_MAX_EVENTS: Final = 10_000
_MAX_ASSIGNED: Final = 10_000
_TASK: Final = Member(kind="text", required=True)


def _faults(request: Input) -> dict[str, Any]:
    """List the faults which are not over."""
    request.query()
    return _all_faults(request.service())


def _add_fault(request: Input) -> dict[str, Any]:
    """Add a fault: the members of aiodp.testing.Fault, of which only kind is required."""
    given = request.body(
        kind=Member(kind="text", required=True),
        actions=Member(kind="texts"),
        tasks=Member(kind="texts"),
        start=Member(kind="number"),
        duration=Member(kind="number"),
        count=Member(kind="count"),
        every=Member(kind="count"),
        delay=Member(kind="number"),
        jump=Member(kind="number"),
    )
    service = request.service()
    service.faults.add(_fault(given))
    return _all_faults(service)


def _clear_faults(request: Input) -> dict[str, Any]:
    """End every fault."""
    request.query()
    service = request.service()
    service.faults.clear()
    return _all_faults(service)


def _clock(request: Input) -> dict[str, Any]:
    """Return the service's time in seconds, and how many of them pass in a real one."""
    request.query()
    return _time(request)


def _jump(request: Input) -> dict[str, Any]:
    """Let the time jump ahead by {"jump": seconds}, in all accounts and regions."""
    given = request.body(jump=Member(kind="number", required=True))
    try:
        request.emulation.clock.jump(given["jump"])
    except ValueError as error:
        raise BadRequest(str(error)) from error
    return _time(request)


def _task(request: Input) -> dict[str, Any]:
    """Return what the service knows of the task ?taskId=."""
    # A + which was not escaped has become a space, and no task id has a space.
    task_id = request.query("taskId").get("taskId", "").replace(" ", "+")
    if not task_id:
        raise BadRequest("taskId is missing")
    return _view(request.service(), task_id)


def _give_away(request: Input) -> dict[str, Any]:
    """End the lease of the task {"taskId"} now, as its worker's silence would."""
    return _change(request, lambda service, task_id: service.give_away(task_id))


def _cancel(request: Input) -> dict[str, Any]:
    """Cancel the task {"taskId"}, as SetStatus TRY_CANCEL of its instance does."""
    return _change(request, lambda service, task_id: service.cancel(task_id))


def _assign(request: Input) -> dict[str, Any]:
    """Make tasks and hand them out now: {count, workerGroup, reportProgressTimeout, hostname}."""
    given = request.body(
        count=Member(kind="count"),
        workerGroup=Member(kind="name"),
        reportProgressTimeout=Member(kind="text"),
        hostname=Member(kind="name"),
    )
    count = given.get("count", 1)
    if not 1 <= count <= _MAX_ASSIGNED:
        raise BadRequest(f"count must be from 1 to {_MAX_ASSIGNED}, not {count}")
    names = {
        "workerGroup": "worker_group",
        "reportProgressTimeout": "report_progress_timeout",
        "hostname": "hostname",
    }
    options = {names[key]: value for key, value in given.items() if key in names}
    if "reportProgressTimeout" in given:
        _check_period(given["reportProgressTimeout"])
    return {"taskIds": request.service().assign(count, **options)}


def _runners(request: Input) -> dict[str, Any]:
    """List the task runners which sent a ReportTaskRunnerHeartbeat."""
    request.query()
    return {"taskrunners": [shown(runner) for runner in request.service().runners]}


def _terminate(request: Input) -> dict[str, Any]:
    """Tell the task runner {"taskrunnerId"} to terminate, at each of its heartbeats."""
    taskrunner_id = request.body(taskrunnerId=_TASK)["taskrunnerId"]
    service = request.service()
    try:
        service.terminate(taskrunner_id)
    except KeyError:
        known = ", ".join(runner.taskrunner_id for runner in service.runners[-10:]) or "none"
        message = f"no heartbeat came from a task runner {taskrunner_id}; the latest are: {known}"
        raise NotFound(message) from None
    return next(
        shown(runner) for runner in service.runners if runner.taskrunner_id == taskrunner_id
    )


def _audit(request: Input) -> dict[str, Any]:
    """List who was given which task when; ?since= takes the "next" of the answer before."""
    since = whole("since", request.query("since").get("since", "0"))
    with request.service().read() as service:
        service.advance()
        first, events = service.audit.page(since, _MAX_EVENTS)
    return {"next": first + len(events), "events": [shown(event) for event in events]}


def _calls(request: Input) -> dict[str, Any]:
    """Count the calls by operation and outcome."""
    request.query()
    counted: dict[str, dict[str, int]] = {}
    for (operation, outcome), count in sorted(request.service().calls.items()):
        counted.setdefault(operation, {})[outcome] = count
    return {"calls": counted}


def _reset(request: Input) -> dict[str, Any]:
    """Begin anew in one account and region; the time goes on, held requests are dropped."""
    request.body()
    service = request.service()
    service.reset()
    return _time(request)


PATHS: Final[dict[str, dict[str, Callable[[Input], dict[str, Any]]]]] = {
    "faults": {"GET": _faults, "POST": _add_fault, "DELETE": _clear_faults},
    "clock": {"GET": _clock, "POST": _jump},
    "tasks": {"GET": _task},
    "tasks/give-away": {"POST": _give_away},
    "tasks/cancel": {"POST": _cancel},
    "assign": {"POST": _assign},
    "pipelines": {"GET": show_pipeline, "POST": make_pipeline},
    "pipelines/rerun": {"POST": rerun},
    "taskrunners": {"GET": _runners},
    "taskrunners/terminate": {"POST": _terminate},
    "audit": {"GET": _audit},
    "calls": {"GET": _calls},
    "reset": {"POST": _reset},
}


def index(request: Input) -> dict[str, Any]:
    """List the paths, and what each does."""
    request.query()
    paths = {
        ROOT + path: {method: handler.__doc__ for method, handler in handlers.items()}
        for path, handlers in PATHS.items()
    }
    return {"query": "account, region", "paths": paths}


def _all_faults(service: LockedService) -> dict[str, Any]:
    return {"faults": [_shown_fault(active) for active in service.faults.active]}


def _shown_fault(active: ActiveFault) -> dict[str, Any]:
    progress = {
        "start": active.start,
        "end": active.end,
        "matched": active.matched,
        "befallen": active.hits,
    }
    return shown(active.fault) | progress


def _fault(given: dict[str, Any]) -> Fault:
    kinds = sorted(FaultKind)
    if given["kind"] not in kinds:
        raise BadRequest(f"unknown kind {given['kind']!r}; there are: {', '.join(kinds)}")
    sets: dict[str, Any] = {
        key: frozenset(given[key]) for key in ("actions", "tasks") if key in given
    }
    members = given | sets | {"kind": FaultKind(given["kind"])}
    try:
        return Fault(**members)
    except ValueError as error:
        raise BadRequest(str(error)) from error


def _time(request: Input) -> dict[str, Any]:
    return {"now": request.service().now, "scale": request.emulation.scale}


def _check_period(text: str) -> None:
    try:
        parse_period(text)
    except ValueError as error:
        raise BadRequest(f"reportProgressTimeout: {error}") from error


def _view(service: LockedService, task_id: str) -> dict[str, Any]:
    try:
        return shown(service.task(task_id))
    except KeyError:
        raise NotFound(f"there never was a task {shorten(task_id)}") from None


def _change(request: Input, change: Callable[[LockedService, str], None]) -> dict[str, Any]:
    task_id = request.body(taskId=_TASK)["taskId"]
    service = request.service()
    _view(service, task_id)
    try:
        change(service, task_id)
    except (ServiceError, ValueError) as error:
        raise BadRequest(str(error)) from error
    return _view(service, task_id)
