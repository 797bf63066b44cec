"""Looks for what uses a worker group, in the definitions of the account's pipelines."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

import anyio

from aiodp._aws.errors import describe
from aiodp._aws.transport import call_service
from aiodp._types import Outcome
from aiodp.cli._doctor.findings import Finding, Verdict

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

GROUP_TIMEOUT: Final = 5.0
_MAX_PIPELINES: Final = 50
"""Definitions that are asked for: half of what the account may (Developer Guide, "Limits")."""
_AT_ONCE: Final = 5
_OTHERS: Final = (
    "Give it a --handler for them; or, beside a task runner that does them, --unsupported leave: "
    "else they are FAILED."
)
_MEND: Final = "Check its spelling, the account and the region: names are compared exactly."


async def check_group(client: Any, worker_group: str, types: Collection[str] | None) -> Finding:
    """Return the finding, after at most `GROUP_TIMEOUT` seconds.

    `types` are those that the task runner does, None for all.
    """
    search = _Search(client, worker_group, types)
    with anyio.move_on_after(GROUP_TIMEOUT):
        await search.run()
    return search.finding()


class _Search:
    def __init__(self, client: Any, worker_group: str, types: Collection[str] | None) -> None:
        self._client = client
        self._group = worker_group
        self._types = types
        self._others: list[str] = []  # types of tasks in the group that the runner does not do
        self._pipelines: dict[str, str] = {}  # names by ids
        self._looked_at = 0
        self._groups: set[str] = set()
        self._user: str | None = None
        self._failure: Outcome | None = None

    async def run(self) -> None:
        """Look at one pipeline after the other, until one is found that uses the group."""
        await self._list()
        limiter = anyio.CapacityLimiter(_AT_ONCE)
        async with anyio.create_task_group() as group:

            async def look(pipeline_id: str) -> None:
                async with limiter:
                    await self._look_at(pipeline_id)
                    if self._user is not None or self._failure is not None:
                        group.cancel_scope.cancel()

            for pipeline_id in list(self._pipelines)[:_MAX_PIPELINES]:
                group.start_soon(look, pipeline_id, name="aiodp doctor pipeline")

    def finding(self) -> Finding:
        """Return what was found."""
        if self._user is not None:
            found = f"{self._group} is used by the pipeline {self._user}"
            if not self._others:
                return Finding.ok("group", found)
            others = ", ".join(self._others)
            return Finding.warning("group", f"{found}; aiodp run does not do its {others}", _OTHERS)
        count, seen = len(self._pipelines), self._looked_at
        if not seen and self._failure is not None:
            words = describe(self._failure.error)
            found = f"skipped, for pipelines cannot be read, as no task runner needs to: {words}"
            return Finding(check="group", verdict=Verdict.SKIPPED, found=found)
        looked = f"{count}" if seen == count else f"{seen} of {count}, the rest was not looked at"
        found = f"{self._group} is used by no pipeline of this account and region ({looked})"
        near = " or ".join(get_close_matches(self._group, self._groups))
        return Finding.warning("group", found, f"Is it {near}? {_MEND}" if near else _MEND)

    async def _list(self) -> None:
        where: dict[str, str] = {}
        while True:
            answer = await call_service(self._client.list_pipelines(**where))
            if isinstance(answer, Outcome):
                self._failure = answer
                return
            self._pipelines |= {one["id"]: one["name"] for one in answer["pipelineIdList"]}
            if not answer.get("hasMoreResults") or not answer.get("marker"):
                return
            where = {"marker": answer["marker"]}

    async def _look_at(self, pipeline_id: str) -> None:
        answer = await call_service(self._client.get_pipeline_definition(pipelineId=pipeline_id))
        if isinstance(answer, Outcome):
            self._failure = answer
            return
        self._looked_at += 1
        groups = _groups(answer)
        self._groups |= set(groups)
        if self._group in groups:
            types = groups[self._group] - set(self._types or groups[self._group])
            self._others = sorted(types)
            self._user = f"{self._pipelines[pipeline_id]} ({pipeline_id})"


def _groups(definition: Mapping[str, Any]) -> dict[str, set[str]]:
    """Return the worker groups of a definition, with the types of the activities in each."""
    groups: dict[str, set[str]] = {}
    objects = {}
    for one in definition.get("pipelineObjects", ()):
        fields = {field["key"]: field.get("stringValue", "") for field in one.get("fields", ())}
        objects[one["id"]] = fields
    values = _values(definition)
    default = objects.get("Default", {}).get("workerGroup")
    for fields in objects.values():
        type_name = fields.get("type", "")
        is_activity = type_name.endswith("Activity")
        inherited = default if is_activity and "runsOn" not in fields else None
        group = fields.get("workerGroup", inherited)
        if group is not None:
            groups.setdefault(values.get(group, group), set()).update([type_name] * is_activity)
    return groups


def _values(definition: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of parameters, by the expressions that name them."""
    values = {
        f"#{{{one['id']}}}": field.get("stringValue", "")
        for one in definition.get("parameterObjects", ())
        for field in one.get("attributes", ())
        if field["key"] == "default"
    }
    values |= {
        f"#{{{one['id']}}}": one.get("stringValue", "")
        for one in definition.get("parameterValues", ())
    }
    return values
