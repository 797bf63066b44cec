"""The limits which the page of the local service tells are those which it has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from aiodp.emulator._definition import size
from aiodp.emulator._definition.expressions import work
from aiodp.emulator._model import audit, deleted, reading, runner_registry, service, worker_api
from aiodp.emulator._model.listing import query
from aiodp.emulator._server import body, call, moto

PAGE = Path(__file__).parents[3] / "docs" / "local-service.md"
LIMITS = [
    ("the body of a call", [body.MAX_CALL_BYTES]),
    ("the body of EvaluateExpression or SetTaskStatus", [body.MAX_LONG_CALL_BYTES]),
    ("the body of a request to another service of moto", [body.MAX_OTHER_BYTES]),
    ("the body of a call", [call.MAX_VALUES]),
    ("a definition", [size.MAX_VALUES]),
    ("a definition", [size.MAX_BYTES]),
    ("a definition", [size.MAX_PARAMETER_VALUES]),
    ("a definition", [size.MAX_WORDS]),
    ("a definition", [size.MAX_STEPS]),
    ("the expressions of one call, or of one attempt", [work.MAX_STEPS]),
    ("the expressions of one call, or of one attempt", [work.MAX_BYTES, query._MAX_STRING_BYTES]),
    ("an expression in what the service reads for itself", [reading._MAX_STEPS]),
    ("the answer to DescribeObjects", [query._MAX_DESCRIBED_VALUES, query._MAX_DESCRIBED_BYTES]),
    ("the audit", [audit.MAX_EVENTS, audit.DROPPED_AT_ONCE]),
    ("deleted pipelines with their tasks", [deleted.MAX_KEPT_VALUES, deleted.INSTANCE_VALUES]),
    ("names of deleted pipelines", [deleted.MAX_KEPT_NAMES]),
    ("operations which the API does not have", [service._MAX_UNKNOWN]),
    ("accounts and regions that are used", [moto.MAX_SERVICES]),
    ("task runners that sent heartbeats", [runner_registry._MAX_RUNNERS]),
    ("worker groups that were polled", [worker_api.MAX_GROUPS]),
]


def rows() -> list[tuple[str, str]]:
    section = PAGE.read_text(encoding="utf-8").partition("## Limits\n")[2].partition("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [(cells[1].strip(), cells[2]) for cells in (line.split("|") for line in table)]


@pytest.mark.parametrize("number", range(len(LIMITS)))
def test_the_page_has_the_limits(number):
    """Each row of the table has the numbers of the code, in the same order."""
    (name, values), (shown, most) = LIMITS[number], rows()[number]
    assert shown.startswith(name)
    numbers = [int(found.replace(",", "")) for found in re.findall(r"\b\d[\d,]*\b", most)]
    assert numbers == values


def test_no_limit_is_left_out():
    """The table has a row for each limit, and no other."""
    assert len(rows()) == len(LIMITS)
