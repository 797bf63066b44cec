"""The page about the local service says what the code does."""

from __future__ import annotations

import json
import logging
import re
import time
from dataclasses import MISSING, fields
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from werkzeug.exceptions import Forbidden

from aiodp.cli._emulate.command import emulate
from aiodp.cli._emulate.log import JsonFormatter, LogFormat, TextFormatter
from aiodp.emulator import PUBLISHED_QUOTAS, AuditKind, Fault, FaultKind, Settings
from aiodp.emulator._model.replies import Answer, Hang, Reset, Slow
from aiodp.emulator._server.admin.paths import PATHS
from aiodp.emulator._server.guard import Guard
from unit.emulator.service_kit import Kit

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "local-service.md").read_text()
FENCES = [
    (token.info, token.content) for token in MarkdownIt().parse(PAGE) if token.type == "fence"
]


def section(title: str) -> str:
    """Return the text from a heading to the next."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str, *, columns: int) -> list[list[str]]:
    """Return the rows of the tables that have so many columns, without their heads."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    ruled = [number for number, row in enumerate(cells) if row[0].startswith("---")]
    heads = {number for rule in ruled for number in (rule - 1, rule)}
    return [row for n, row in enumerate(cells) if n not in heads and len(row) == columns]


def names(text: str) -> list[str]:
    return re.findall(r"`(\w+)`", text)


# Settings and quotas


def shown(value: Any) -> str:
    """Return a default as the table writes it."""
    match value:
        case Enum():
            return f"`{type(value).__name__}.{value.name}`"
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case None:
            return "`None`"
        case int() | float():
            return str(int(value))
    assert value is PUBLISHED_QUOTAS
    return "`PUBLISHED_QUOTAS`"


def test_the_table_of_settings_is_complete_and_names_the_defaults():
    """Each setting stands there once, with the default which it has."""
    documented = [(row[0], row[1]) for row in rows(section("Settings"), columns=4)]
    defaults = Settings()
    assert documented == [
        (f"`{setting.name}`", shown(getattr(defaults, setting.name)))
        for setting in fields(Settings)
    ]


def test_the_units_of_settings_are_seconds_where_they_are_durations():
    """A setting is a duration, in seconds, if and only if its field is a float."""
    seconds = {row[0].strip("`") for row in rows(section("Settings"), columns=4) if row[2] == "s"}
    assert seconds == {
        setting.name for setting in fields(Settings) if str(setting.type).startswith("float")
    }


@pytest.mark.parametrize("row", rows(section("Settings"), columns=4), ids=lambda row: row[0])
def test_every_member_of_a_setting_with_choices_is_named(row):
    """The table names every value which such a setting can have."""
    value = getattr(Settings(), row[0].strip("`"))
    if isinstance(value, Enum):
        listed = {value.name} | set(re.findall(r"`([A-Z_]+)`", row[3]))
        assert listed == {member.name for member in type(value)}
    else:
        assert "." not in row[1], "a choice which is none"


def test_the_table_of_quotas_is_the_published_one():
    """Operations, rates and the burst are those of the code."""
    documented = {
        operation: float(row[0])
        for row in rows(section("Settings"), columns=2)
        for operation in row[1].split(", ")
    }
    assert documented == {operation: rate for operation, (rate, _) in PUBLISHED_QUOTAS.items()}
    bursts = {burst for _, burst in PUBLISHED_QUOTAS.values()}
    assert [int(number) for number in re.findall(r"buckets that hold (\d+) calls", PAGE)] == [
        *bursts
    ]


def test_every_choice_which_is_a_setting_is_in_the_table_of_silences():
    """The third column names settings there are; all but those whose rule is published."""
    table = rows(section("Where AWS is silent, or contradicts itself"), columns=3)
    named = {name for row in table for name in names(row[2])}
    published = {"acknowledge_timeout", "poll_hold", "epoch", "seed"}
    assert named == {setting.name for setting in fields(Settings)} - published
    assert all(names(row[2]) or row[2] == "-" for row in table)


# Faults and the audit


def test_the_signature_of_faults_names_every_field_and_default():
    """`Fault(...)` stands there with the defaults which it has."""
    [given] = re.findall(r"`Fault\((.+?)\)`\s+goes", PAGE)
    assert given.split(", ") == [
        f"{field.name}={'...' if field.default is MISSING else field.default}"
        for field in fields(Fault)
    ]


FAULTS = {row[0].strip("`"): row[1:] for row in rows(section("Make things go wrong"), columns=3)}


def test_every_kind_of_fault_is_in_the_table():
    """The table names each kind, and no other."""
    assert FAULTS.keys() == {kind.value for kind in FaultKind}


@pytest.mark.parametrize("kind", FaultKind)
def test_faults_do_what_the_table_says(kind):
    """A report to which the fault applies is applied or not, and answered as the table says."""
    applied, answers = FAULTS[kind.value]
    kit = Kit()
    [task_id] = kit.service.assign()
    jump = 1.0 if kind is FaultKind.CLOCK_JUMP else 0.0
    kit.service.faults.add(Fault(kind=kind, jump=jump))
    reply = kit.service.request("ReportTaskProgress", {"taskId": task_id})
    assert kit.service.task(task_id).reports == (applied == "yes")
    assert described(reply) in answers


def described(reply: object) -> str:
    """Return what the table must say of a reply."""
    match reply:
        case Hang():
            return "nothing, ever"
        case Reset():
            return "a broken connection"
        case Slow():
            return "the answer, late"
    assert isinstance(reply, Answer)
    return "half of the answer" if reply.truncated else described_answer(reply)


def described_answer(answer: Answer) -> str:
    """Return what the table must say of an answer which comes in full."""
    content_type = answer.headers["Content-Type"].partition(";")[0]
    if answer.outcome == "ok":
        return "the answer, after the time has jumped"
    if content_type == "text/plain":
        return "the answer as `text/plain`"
    if content_type == "text/html":
        return f"{answer.status} with the page of a proxy"
    if answer.status == 200:
        return {
            "garbage": "200 with broken JSON",
            "empty": "200 without a body",
            "type_in_ok": "200 with an error in it, for which botocore raises nothing",
        }[answer.outcome]
    return f"{answer.status} {json.loads(answer.body)['__type'].partition('#')[2]}"


def test_every_kind_of_event_is_named():
    """The kinds of the audit are all there, and no other."""
    kinds = section("Make things go wrong").partition("Its kinds are")[2]
    listed = [name for name in names(kinds) if name != "detail"]
    assert listed == [kind.value for kind in AuditKind if kind is not AuditKind.ACTION] + ["action"]


# Control, the log, the command


def test_every_control_path_has_an_example():
    """Each path and method is in the block of examples."""
    [block] = [text for info, text in FENCES if info == "sh" and "$API" in text]
    used = set()
    for line in block.splitlines():
        for path in re.findall(r"\$API/([\w/-]+)", line):
            posted = " -d " in line or "-X POST" in line
            used.add((path, "DELETE" if "-X DELETE" in line else "POST" if posted else "GET"))
    assert used == {(path, method) for path, methods in PATHS.items() for method in methods}


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        *(("localhost", True), ("inputs.localhost", True), ("127.0.0.1", True), ("[::1]", True)),
        *(("host.docker.internal", True), ("aiodp", True)),
        *(("aiodp.example.com", True), ("inputs.aiodp.example.com", True)),
        *(("other.example.com", False), ("inputs.aiodp", False)),
    ],
)
def test_the_names_of_the_server_are_those_on_the_page(host, allowed):
    """As the page says, a name with a dot is refused, unless it was given or nobody can own it."""
    guard = Guard("0.0.0.0", ["aiodp.example.com"])
    environ = {"HTTP_HOST": f"{host}:5005", "REQUEST_METHOD": "GET", "PATH_INFO": "/"}
    if allowed:
        guard.check(environ)
        return
    with pytest.raises(Forbidden):
        guard.check(environ)


@pytest.fixture
def _utc(monkeypatch):
    """The local time is UTC."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_utc")
def test_the_lines_of_the_log_are_the_ones_which_the_formats_give():
    """One call, written in both formats, gives the two lines of the page."""
    [text] = [content.strip() for info, content in FENCES if info == "text"]
    [line] = [content.strip() for _, content in FENCES if content.startswith('{"time"')]
    said = json.loads(line)
    record = logging.LogRecord("calls", logging.INFO, __file__, 1, "", None, None)
    record.created = datetime.fromisoformat(said["time"]).timestamp()
    record.__dict__.update(said)
    assert TextFormatter().format(record) == text
    assert JsonFormatter().format(record) == line


def test_every_option_of_the_command_is_named():
    """The page names each option, and each form of the log."""
    start = section("Start it")
    options = {option for parameter in emulate.params for option in parameter.opts}
    assert set(re.findall(r"--[a-z-]+", start)) == options | {"--cli-read-timeout"}  # the AWS CLI's
    assert all(f"`{log_format.value}`" in start for log_format in LogFormat)
    assert "`AIODP_EMULATE_PORT=5005`" in start


def test_links_lead_somewhere():
    """Each link is to a file which is there, and to a heading in it."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", PAGE):
        name, _, anchor = target.partition("#")
        path = ROOT / "docs" / (name or "local-service.md")
        text = path.read_text() if path.suffix == ".md" else ""
        assert path.is_file()
        headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        slugs = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
        assert not anchor or anchor in slugs, target
