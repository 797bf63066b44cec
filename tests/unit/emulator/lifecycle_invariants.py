"""What must be true of a pipeline at every moment, seen through the API alone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator import TaskState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiodp.emulator import Service, TaskView
    from unit.emulator.lifecycle_kit import Lifecycle

GOOD: Final = frozenset({"FINISHED", "SKIPPED"})
BAD: Final = frozenset({"FAILED", "CANCELED", "CASCADE_FAILED", "TIMEDOUT"})
TERMINAL: Final = GOOD | BAD
ATTEMPT_ENDS: Final = frozenset({"FINISHED", "FAILED", "CANCELED"})
UP: Final = frozenset({"CREATING", "RUNNING", "SHUTTING_DOWN"})
_WAITING: Final = "WAITING_ON_DEPENDENCIES"
_STATES: Final = frozenset(
    {"PENDING", "SCHEDULED", "DEACTIVATING", "INACTIVE", "FINISHED"},
)
_RESOURCES: Final = ("Ec2Resource", "EmrCluster")
_CHECKED: Final = ("ShellCommandPrecondition", "S3KeyExists")
_REQUIRED: Final = ("dependsOn", "input", "precondition")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """An instance or an attempt: its fields by key, all with lists of values."""

    id: str
    fields: dict[str, list[str]]

    def value(self, key: str) -> str | None:
        """Return the first value of a field."""
        return next(iter(self.fields.get(key, [])), None)

    @property
    def status(self) -> str:
        """Its status."""
        return self.value("@status") or ""

    @property
    def is_resource(self) -> bool:
        """Whether it is CREATING and SHUTTING_DOWN instead of being tried."""
        return self.value("type") in _RESOURCES

    @property
    def is_precondition(self) -> bool:
        """Whether it guards another instance."""
        return self.value("type") in _CHECKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A pipeline with all its instances and attempts."""

    state: str
    next_run: str | None
    deactivated: str | None
    health: str | None
    components: list[Seen]
    instances: dict[str, Seen]
    attempts: dict[str, Seen]

    def attempts_of(self, instance_id: str) -> list[Seen]:
        """Return the attempts of an instance, in their order."""
        attempts = [
            attempt
            for attempt in self.attempts.values()
            if instance_id in attempt.fields["@instanceParent"]
        ]
        return sorted(attempts, key=lambda attempt: int(attempt.id.rpartition("=")[2]))

    def refs(self, seen: Seen, *keys: str) -> Iterator[Seen]:
        """Yield the instances to which fields refer."""
        for key in keys:
            for target in seen.fields.get(key, []):
                if target in self.instances:
                    yield self.instances[target]


def take_snapshot(kit: Lifecycle, call: Callable[..., dict[str, Any]]) -> Snapshot:
    """Look at the kit's pipeline."""
    record = call("DescribePipelines", pipelineIds=[kit.pipeline_id])
    fields = _fields(record["pipelineDescriptionList"][0])
    seen = {}
    for sphere in ("COMPONENT", "INSTANCE", "ATTEMPT"):
        ids = call("QueryObjects", pipelineId=kit.pipeline_id, sphere=sphere)["ids"]
        assert len(ids) == len(set(ids)), f"an id is there twice: {ids}"
        seen[sphere] = {item.id: item for item in _described(kit, call, ids)}
    return Snapshot(
        state=fields["@pipelineState"][0],
        next_run=next(iter(fields.get("@nextRunTime", [])), None),
        deactivated=next(iter(fields.get("@lastDeactivatedTime", [])), None),
        health=next(iter(fields.get("@healthStatus", [])), None),
        components=list(seen["COMPONENT"].values()),
        instances=seen["INSTANCE"],
        attempts=seen["ATTEMPT"],
    )


def _described(
    kit: Lifecycle, call: Callable[..., dict[str, Any]], ids: list[str]
) -> Iterator[Seen]:
    for start in range(0, len(ids), 25):
        some = ids[start : start + 25]
        answer = call("DescribeObjects", pipelineId=kit.pipeline_id, objectIds=some)
        assert [one["id"] for one in answer["pipelineObjects"]] == some
        for item in answer["pipelineObjects"]:
            yield Seen(id=item["id"], fields=_fields(item))


def _fields(described: dict[str, Any]) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for field in described["fields"]:
        value = field["stringValue"] if "stringValue" in field else field["refValue"]
        fields.setdefault(field["key"], []).append(value)
    return fields


# What must hold


def check(
    snapshot: Snapshot, live: list[TaskView], retries: int, *, on_demand: bool, overridden: bool
) -> None:
    """Check a pipeline with the tasks of it which are held.

    `overridden`: an instance was run again or marked as finished, so not every rule holds any more.
    """
    check_attempts(snapshot, retries, counted=not overridden)
    check_waiting(snapshot)
    check_cascades(snapshot)
    check_health(snapshot)
    check_state(snapshot, len(live), on_demand=on_demand, overridden=overridden)
    if not overridden:
        check_dependencies(snapshot)
        check_active(snapshot)
    held = {view.attempt_id for view in live if view.state is TaskState.HELD}
    running = {attempt.id for attempt in snapshot.attempts.values() if attempt.status == "RUNNING"}
    assert held == running, "who is running and who is held differ"


def check_ids(service: Service, pipeline_id: str) -> None:
    """No two instances that were ever made have one id: whoever looks one up finds the only one."""
    pipeline = service.model.catalog.pipelines[pipeline_id]
    made = [instance for instances in pipeline.of_component.values() for instance in instances]
    twice = [key for key, count in Counter(one.id for one in made).items() if count > 1]
    assert not twice, f"two instances have one id: {twice}"
    assert all(pipeline.instances[instance.id] is instance for instance in made)
    held = [task.attempt.instance.id for task in pipeline.held.values()]
    assert len(held) == len(set(held)), f"an instance is held twice: {held}"


def check_health(snapshot: Snapshot) -> None:
    """A pipeline is ERROR while one of its components is, and HEALTHY if one has ended well."""
    healths = {component.value("@healthStatus") for component in snapshot.components}
    assert snapshot.health == next((one for one in ("ERROR", "HEALTHY") if one in healths), None)
    sources = {component.value("@healthStatusFromInstanceId") for component in snapshot.components}
    assert sources <= {None, *snapshot.instances}, sources


def check_attempts(snapshot: Snapshot, retries: int, *, counted: bool) -> None:
    """Attempts are numbered tries of their instance, of which only the newest may be open.

    `counted`: no try was restored or free, so attempts and tries left add up.
    """
    for instance in snapshot.instances.values():
        attempts = snapshot.attempts_of(instance.id)
        numbers = [int(attempt.id.rpartition("=")[2]) for attempt in attempts]
        assert numbers == list(range(1, len(attempts) + 1)), (instance.id, numbers)
        for attempt in attempts[:-1]:
            assert attempt.status in ATTEMPT_ENDS, (
                f"{attempt.id} is {attempt.status}, but not the newest"
            )
        if attempts:
            _check_head(instance, attempts[-1], len(attempts))
        if attempts and counted and not instance.is_precondition:
            left = int(instance.value("@triesLeft") or "0")
            assert len(attempts) + left in (retries, retries + 1), (instance.id, left)


def _check_head(instance: Seen, head: Seen, count: int) -> None:
    assert instance.value("@headAttempt") == head.id
    assert instance.value("@attemptCount") == str(count)
    if instance.status in TERMINAL | {_WAITING}:
        assert head.status in ATTEMPT_ENDS, f"{instance.id} has ended, but not {head.id}"
    elif head.status in ("RUNNING", "WAITING_FOR_RUNNER"):
        assert head.status == instance.status, instance.id
    for seen in (instance, head):
        ended = seen.value("@actualEndTime") is not None
        assert ended is (seen.status in TERMINAL), f"{seen.id}: {seen.status}, ended: {ended}"


def check_dependencies(snapshot: Snapshot) -> None:
    """What waits says on what; what does not wait any more has what it needs.

    Holds while nobody ran anything again, or marked it as finished.
    """
    for instance in snapshot.instances.values():
        if instance.value("type") == "ShellCommandActivity" and snapshot.attempts_of(instance.id):
            for other in snapshot.refs(instance, *_REQUIRED):
                assert other.status in GOOD, (
                    f"{instance.id} was tried, {other.id} is {other.status}"
                )


def check_waiting(snapshot: Snapshot) -> None:
    """`@waitingOn` has what is not finished; in mode cascade nothing waits for the failed."""
    for instance in snapshot.instances.values():
        if instance.status != _WAITING:
            assert "@waitingOn" not in instance.fields, f"{instance.id} is {instance.status}"
            continue
        for other in snapshot.refs(instance, "@waitingOn"):
            assert other.status not in GOOD, f"{instance.id} waits on {other.id}: {other.status}"
            if instance.value("failureAndRerunMode") == "cascade" and snapshot.state == "SCHEDULED":
                assert other.status not in BAD, f"{instance.id} waits on failed {other.id}"


def check_cascades(snapshot: Snapshot) -> None:
    """CASCADE_FAILED names its cause, was in mode cascade, and nothing else names one."""
    for instance in snapshot.instances.values():
        caused = instance.value("@cascadeFailedOn") is not None
        assert caused is (instance.status == "CASCADE_FAILED"), instance.id
        if caused:
            assert instance.value("@cascadeFailedOn") in snapshot.instances
            assert instance.value("failureAndRerunMode") == "cascade", instance.id


def check_active(snapshot: Snapshot) -> None:
    """No more instances of a component are active than may; holds while nothing was rerun."""
    idle = TERMINAL | {_WAITING}
    active = Counter(
        (instance.value("@componentParent"), instance.value("maxActiveInstances") or "5")
        for instance in snapshot.instances.values()
        if instance.status not in idle and not instance.is_resource and not instance.is_precondition
    )
    for (component, limit), count in active.items():
        assert count <= int(limit), f"{count} instances of {component} are active"


def check_state(snapshot: Snapshot, live: int, *, on_demand: bool, overridden: bool) -> None:
    """The pipeline's state agrees with its instances, and with the tasks which are held."""
    statuses = [instance.status for instance in snapshot.instances.values()]
    up = [
        instance.id
        for instance in snapshot.instances.values()
        if instance.is_resource and instance.status in UP
    ]
    over = all(status in TERMINAL for status in statuses) and snapshot.next_run is None
    assert snapshot.state in _STATES
    match snapshot.state:
        case "PENDING":
            assert statuses == []
        case "FINISHED":
            assert over, statuses
        case "SCHEDULED":
            assert on_demand or not over, "all has ended, nothing is to come"
        case "DEACTIVATING":
            assert live or up, "nothing runs that could end"
        case "INACTIVE":
            assert live == 0, "a task is held"
            assert overridden or not up, up
    if snapshot.state != "SCHEDULED":
        assert snapshot.next_run is None


def check_progress(
    before: Snapshot, after: Snapshot, *, rerun: set[str], marked: set[str], overridden: bool
) -> None:
    """Terminal stays terminal, but for what this step ran again or marked, and what that wakes.

    A resource which a deactivation has ended comes back for what still waits for it, or comes new.
    """
    deactivated = after.deactivated or ""
    assert before.instances.keys() <= after.instances.keys(), "an instance has gone"
    assert before.attempts.keys() <= after.attempts.keys(), "an attempt has gone"
    for instance in before.instances.values():
        now = after.instances[instance.id]
        if instance.status not in TERMINAL or now.status == instance.status:
            continue
        woken = instance.status == "CASCADE_FAILED" or (
            instance.is_precondition and instance.status in ("CANCELED", "SKIPPED")
        )
        assert (
            (instance.id in marked and now.status == "FINISHED")
            or instance.id in rerun
            or instance.value("runsOn") in rerun
            or (rerun and woken)
            or (instance.is_resource and (overridden or instance.status == "FINISHED"))
            or (instance.is_resource and (instance.value("@actualEndTime") or "") <= deactivated)
        ), f"{instance.id} was {instance.status} and is {now.status}"
    for tried in before.attempts.values():
        if tried.status in ATTEMPT_ENDS:
            assert after.attempts[tried.id].status == tried.status, tried.id
