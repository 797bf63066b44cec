"""A worker process on boto3 as it comes: fleet_worker.py GROUP HOSTNAME RECORDS.

It appends what it does with each task to the file RECORDS, a line of JSON each, and ends when its
standard input does, as soon as it holds no task any more.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Condition, Semaphore, Thread
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from typing import TextIO

POLLERS: Final = 2
KEEPERS: Final = 4
MOST_HELD: Final = 60
REPORTS: Final = 2
"""Heartbeats which each task gets before its end: one acknowledges it, one renews its lease."""


@dataclass(slots=True, kw_only=True)
class Held:
    """A task of this worker."""

    task_id: str
    reports: int = 0
    asked: bool = False
    """Whether its status was sent before, with an outcome that is not known."""


class Worker:
    """Takes tasks as long as it has room, keeps each alive by reports, and finishes it."""

    def __init__(self, group: str, hostname: str, records: TextIO) -> None:
        self._client = boto3.client("datapipeline")
        self._group = group
        self._hostname = hostname
        self._records = records
        self._room = Semaphore(MOST_HELD)
        self._queue: SimpleQueue[Held] = SimpleQueue()
        self._held = 0
        self._changed = Condition()

    def start(self) -> None:
        """Begin to poll and to report; the threads end with the process."""
        for work, count in ((self._poll, POLLERS), (self._keep, KEEPERS)):
            for _ in range(count):
                Thread(target=work, daemon=True).start()

    def join(self) -> None:
        """Wait until no task is held."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held)

    def _poll(self) -> None:
        while True:
            self._room.acquire()
            task = self._ask()
            if task is None:
                self._room.release()
                continue
            held = Held(task_id=task["taskId"])
            self._note("got", held)
            self._queue.put(held)

    def _ask(self) -> dict[str, Any] | None:
        try:
            answer = self._client.poll_for_task(workerGroup=self._group, hostname=self._hostname)
        except (BotoCoreError, ClientError):
            return None  # more faults in a row than boto3 retries
        task: dict[str, Any] | None = answer.get("taskObject")
        return task

    def _keep(self) -> None:
        while True:
            held = self._queue.get()
            try:
                self._go_on(held)
            except ClientError as error:
                self._on_error(held, error)
            except BotoCoreError:
                self._put_back(held)

    def _go_on(self, held: Held) -> None:
        if held.reports == REPORTS:
            self._client.set_task_status(taskId=held.task_id, taskStatus="FINISHED")
            self._let_go("finished", held)
        elif self._client.report_task_progress(taskId=held.task_id)["canceled"]:
            self._let_go("canceled", held)
        else:
            held.reports += 1
            self._queue.put(held)

    def _on_error(self, held: Held, error: ClientError) -> None:
        if error.response["Error"]["Code"] != "TaskNotFoundException":
            self._put_back(held)
            return
        resent = held.asked or error.response["ResponseMetadata"]["RetryAttempts"] > 0
        doubtful = resent and error.operation_name == "SetTaskStatus"
        self._let_go("doubtful" if doubtful else "lost", held)

    def _put_back(self, held: Held) -> None:
        held.asked = held.reports == REPORTS
        self._queue.put(held)

    def _let_go(self, outcome: str, held: Held) -> None:
        self._note(outcome, held)
        self._room.release()

    def _note(self, what: str, held: Held) -> None:
        line = json.dumps({"what": what, "task": held.task_id, "reports": held.reports})
        with self._changed:
            self._records.write(line + "\n")
            self._records.flush()
            self._held += 1 if what == "got" else -1
            self._changed.notify_all()


def main() -> None:
    """Work until the standard input ends."""
    group, hostname, records = sys.argv[1:]
    with Path(records).open("a") as file:
        worker = Worker(group, hostname, file)
        worker.start()
        sys.stdin.read()
        worker.join()
    os._exit(0)  # a poll which hangs would hang on for boto3's minute


if __name__ == "__main__":
    main()
