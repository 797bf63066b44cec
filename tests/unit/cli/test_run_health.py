"""What is told of a runner's health: to probes, to systemd, and to Prometheus."""

from __future__ import annotations

import dataclasses
import http.client
import socket
import struct
import threading
import time
from contextlib import ExitStack
from types import SimpleNamespace

import click
import pytest
from prometheus_client.parser import text_string_to_metric_families

from aiodp import RunnerStatistics, Statistics
from aiodp.cli._run import metrics
from aiodp.cli._run.health import MAX_DELAY, Health
from aiodp.cli._run.health_server import Address, AddressParam, serve_health
from aiodp.cli._run.systemd import Systemd

REPORTS = Statistics(
    tracked=3,
    acknowledged=2,
    sent=40,
    succeeded=38,
    failed={"timeout": 1, "connection": 1},
    throttled=0,
    in_flight=1,
    next_due=100.0,
    smallest_remaining_lease=250.0,
    worst_lag=0.5,
    effective_rate=None,
)
RUNNING = RunnerStatistics(
    polls=9,
    polling=1,
    received=5,
    left=2,
    running=2,
    ended={"FINISHED": 2, "no status": 1},
    reports=REPORTS,
)


@pytest.fixture
def clock():
    """The system's time, which the test sets."""
    return SimpleNamespace(now=1000.0)


@pytest.fixture
def health(clock):
    return Health(lambda: clock.now)


def take(health, now=90.0, *, is_draining=False, **changes):
    health.take(dataclasses.replace(RUNNING, **changes), now, is_draining=is_draining)


# Live and ready


def test_it_is_live_and_not_ready_while_it_starts(health):
    """A probe may come before there is anything to say, and before the runner has begun."""
    assert health.why_not_live() is None
    assert health.why_not_ready() == "it is starting"
    health.take(RunnerStatistics(), 0.0, is_draining=False)
    assert health.why_not_live() is None
    assert health.why_not_ready() == "it is starting"


def test_an_event_loop_that_is_blocked_is_not_live(health, clock):
    """No sample has come for a whole interval of reports."""
    take(health)
    clock.now += MAX_DELAY
    assert health.why_not_live() is None
    clock.now += 1
    assert health.why_not_live() == "the event loop has not run for 61 s"
    assert health.why_not_ready() == "the event loop has not run for 61 s"


def test_a_report_that_is_not_sent_is_not_live(health):
    """It has been due for longer than the interval; what is not answered is another matter."""
    take(health, now=100.0 + MAX_DELAY)
    assert health.why_not_live() is None
    take(health, now=101.0 + MAX_DELAY)
    assert health.why_not_live() == "a report has been due for 61 s"


def test_it_is_not_ready_while_polls_fail(health):
    """From the first failure to the next answer; it stays live, for a new start would not help."""
    take(health)
    assert health.why_not_ready() is None
    take(health, polls=10, polls_failed=1)
    for _ in range(2):
        assert health.why_not_ready() == "polls fail"
        take(health, polls=11, polls_failed=1, polling=2)
    assert health.why_not_live() is None
    take(health, polls=11, polls_failed=1, polling=1)
    assert health.why_not_ready() is None


def test_it_is_not_ready_while_it_drains(health):
    """It takes no more tasks."""
    take(health, is_draining=True)
    assert health.why_not_ready() == "it is draining"
    assert health.why_not_live() is None


# Prometheus


def test_every_number_has_a_metric(health):
    """What `runner.statistics()` has; as the library of Prometheus reads it."""
    take(health)
    families = {
        family.name: family
        for family in text_string_to_metric_families(metrics.render(health, 'a"b\n').decode())
    }
    for statistics, tables in (
        (RUNNING, (metrics.COUNTERS, metrics.GAUGES)),
        (REPORTS, (metrics.REPORT_COUNTERS, metrics.REPORT_GAUGES)),
    ):
        names = {field: name for table in tables for field, (name, _) in table.items()}
        fields = {field.name for field in dataclasses.fields(statistics)}
        assert fields - names.keys() <= {"reports", "next_due"}
        for field, name in names.items():
            samples = families[f"aiodp_{name}"].samples
            value = getattr(statistics, field)
            if field in metrics.LABELS:
                assert {s.labels[metrics.LABELS[field]]: s.value for s in samples} == value
            else:
                assert [sample.value for sample in samples] == ([] if value is None else [value])
    assert families["aiodp_info"].samples[0].labels["worker_group"] == 'a"b\n'
    assert families["aiodp_ready"].samples[0].value == 1


def test_there_are_metrics_before_the_runner_has_begun(health):
    """Whether it is live and ready."""
    text = metrics.render(health, "wg").decode()
    assert {family.name for family in text_string_to_metric_families(text)} == {
        "aiodp_info",
        "aiodp_live",
        "aiodp_ready",
    }


# The server


@pytest.fixture
def port(health, monkeypatch):
    def ask_dns(_):
        raise AssertionError("the server must start without a DNS")

    monkeypatch.setattr(socket, "getfqdn", ask_dns)
    return serve_health(Address("127.0.0.1", 0), health, "wg")


@pytest.fixture
def ask(port):
    def get(path, method="GET"):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    return get


def test_the_paths_of_the_server(ask, health, clock):
    """Probes read the status, people the text."""
    take(health, is_draining=True)
    assert ask("/live") == (200, "ok\n")
    assert ask("/ready?verbose") == (503, "it is draining\n")
    assert ask("/ready", "HEAD") == (503, "")
    assert ask("/") == (404, "there are /live, /ready, /metrics\n")
    assert 'aiodp_tasks_ended_total{end="FINISHED"} 2.0' in ask("/metrics")[1]
    clock.now += 100
    assert ask("/live") == (503, "the event loop has not run for 100 s\n")


def test_clients_that_say_nothing_do_not_use_up_the_files(ask, port):
    """The oldest connections are closed, so that others are answered, and the runner works on."""
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            for _ in range(80)
        ]
        assert ask("/live") == (200, "ok\n")
        assert [client.recv(1) for client in silent[:17]] == [b""] * 17
        silent[-1].sendall(b"GET /live HTTP/1.0\r\n\r\n")
        assert silent[-1].recv(12) == b"HTTP/1.0 200"


def test_clients_that_break_off_are_not_told_of(ask, port, capfd):
    """A reset in the middle of a request is no traceback on the runner's terminal."""
    before = threading.active_count()
    client = socket.create_connection(("127.0.0.1", port), timeout=30)
    client.sendall(b"GET /live HTTP/1.1\r\n")
    assert ask("/live") == (200, "ok\n")  # so there is a thread that reads of the first one
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    while threading.active_count() > before:
        time.sleep(0.001)
    assert capfd.readouterr() == ("", "")


def test_a_fault_of_the_server_is_told_of(ask, capfd, monkeypatch):
    """It is ours to mend."""
    monkeypatch.setattr(metrics, "render", None)
    with pytest.raises(http.client.RemoteDisconnected):
        ask("/metrics")
    assert "TypeError" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("8080", ("127.0.0.1", 8080)),
        (":8080", ("127.0.0.1", 8080)),
        ("0.0.0.0:80", ("0.0.0.0", 80)),
        ("[::1]:8080", ("::1", 8080)),
    ],
)
def test_addresses(text, address):
    """Without a host it is for this machine alone."""
    assert AddressParam().convert(text, None, None) == address


@pytest.mark.parametrize("text", ["", "localhost:80", "1.2.3.4", "::1", "1.2.3.4:99999", "a:b"])
def test_what_is_no_address(text):
    """The error says the form."""
    with pytest.raises(click.BadParameter, match=r"is not of the form \[HOST:\]PORT"):
        AddressParam().convert(text, None, None)


# systemd


@pytest.fixture
def told(tmp_path):
    """What systemd has received."""
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(path)
        receiver.setblocking(False)

        def read():
            messages = []
            while True:
                try:
                    messages.append(receiver.recv(4096).decode().splitlines())
                except BlockingIOError:
                    return messages

        yield SimpleNamespace(path=path, read=read)


def test_systemd_hears_that_it_is_ready_what_it_does_and_that_it_stops(health, clock, told):
    """Each once; what it starts does not inherit the address."""
    environment = {"NOTIFY_SOCKET": told.path, "HOME": "/"}
    systemd = Systemd(environment, lambda: clock.now)
    assert environment == {"HOME": "/"}
    systemd.tell(health)
    health.take(RunnerStatistics(), 0.0, is_draining=False)
    systemd.tell(health)
    assert told.read() == []
    take(health)
    for _ in range(3):
        systemd.tell(health)
    status = "tasks: 2 running, 2 FINISHED, 1 no status"
    assert told.read() == [[f"STATUS=it polls; {status}", "READY=1"]]
    take(health, is_draining=True)
    systemd.tell(health)
    assert told.read() == [[f"STATUS=it is draining; {status}", "STOPPING=1"]]


def test_the_watchdog_is_told_in_time_and_only_while_it_is_live(health, clock, told):
    """Twice in its time; not when a report is due for long."""
    environment = {"NOTIFY_SOCKET": told.path, "WATCHDOG_USEC": "20000000"}
    systemd = Systemd(environment, lambda: clock.now)
    take(health)
    for _ in range(30):
        systemd.tell(health)
        clock.now += 1
        take(health)
    assert sum("WATCHDOG=1" in message for message in told.read()) == 3
    take(health, now=1000.0)
    clock.now += 100
    take(health, now=1000.0)
    systemd.tell(health)
    assert not any("WATCHDOG=1" in message for message in told.read())


def test_another_process_s_watchdog_is_not_ours(health, clock, told):
    """Nor does it matter that nobody listens any more."""
    environment = {
        "NOTIFY_SOCKET": told.path + "gone",
        "WATCHDOG_USEC": "1000000",
        "WATCHDOG_PID": "1",
    }
    systemd = Systemd(environment, lambda: clock.now)
    take(health)
    systemd.tell(health)
    assert told.read() == []
