"""What a handler may ask the service about its pipeline; none of it changes anything."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from aiodp._aws.errors import describe
from aiodp._aws.transport import call_service
from aiodp._core.objects import parse_object
from aiodp._errors import CallFailed
from aiodp._types import Outcome

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable, Sequence

    from aiodp._core.objects import PipelineObject

Selector: TypeAlias = tuple[str, str, str] | tuple[str, str, "Sequence[str]"]
"""A field's name, an operator (EQ, REF_EQ, LE, GE or BETWEEN), and the value or values."""

_MAX_DESCRIBED: Final = 25  # objects a call: API reference of DescribeObjects


class PipelineQueries(Protocol):
    """EvaluateExpression, QueryObjects and DescribeObjects; each raises `CallFailed`."""

    async def evaluate(self, pipeline_id: str, object_id: str, expression: str) -> str:
        """Return the value of an expression in the context of an object."""
        ...

    def query(
        self, pipeline_id: str, sphere: str, selectors: Sequence[Selector]
    ) -> AsyncIterator[str]:
        """Yield the ids of the objects for which all selectors hold."""
        ...

    def describe(
        self, pipeline_id: str, object_ids: Iterable[str], *, evaluate_expressions: bool
    ) -> AsyncIterator[PipelineObject]:
        """Yield objects by their ids."""
        ...


class ClientPipelineQueries:
    """Over aiobotocore, whose own retries are right here: the same question may be asked again."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def evaluate(self, pipeline_id: str, object_id: str, expression: str) -> str:
        """Call EvaluateExpression."""
        answer = await _ask(
            "EvaluateExpression",
            self._client.evaluate_expression(
                pipelineId=pipeline_id, objectId=object_id, expression=expression
            ),
        )
        return str(answer.get("evaluatedExpression", ""))

    async def query(
        self, pipeline_id: str, sphere: str, selectors: Sequence[Selector]
    ) -> AsyncIterator[str]:
        """Call QueryObjects, page by page."""
        query = {"query": {"selectors": [_wire_selector(*selector) for selector in selectors]}}
        async for page in self._pages(
            "query_objects", pipelineId=pipeline_id, sphere=sphere, **(query if selectors else {})
        ):
            for object_id in page.get("ids") or ():
                yield object_id

    async def describe(
        self, pipeline_id: str, object_ids: Iterable[str], *, evaluate_expressions: bool
    ) -> AsyncIterator[PipelineObject]:
        """Call DescribeObjects, 25 at a time, and page by page."""
        remaining = iter(object_ids)
        while batch := list(islice(remaining, _MAX_DESCRIBED)):
            async for page in self._pages(
                "describe_objects",
                pipelineId=pipeline_id,
                objectIds=batch,
                evaluateExpressions=evaluate_expressions,
            ):
                for answer in page.get("pipelineObjects") or ():
                    yield parse_object(answer)

    async def _pages(self, operation: str, **members: Any) -> AsyncIterator[dict[str, Any]]:
        pages = aiter(self._client.get_paginator(operation).paginate(**members))
        while page := await _ask(operation, anext(pages, None)):
            yield page


def _wire_selector(name: str, operator: str, values: str | Sequence[str]) -> dict[str, Any]:
    listed = [values] if isinstance(values, str) else list(values)
    return {"fieldName": name, "operator": {"type": operator, "values": listed}}


async def _ask(question: str, call: Awaitable[Any]) -> Any:
    answer = await call_service(call)
    if isinstance(answer, Outcome):
        raise CallFailed(
            f"{question} failed ({answer.kind}): {describe(answer.error)}"
        ) from answer.error
    return answer
