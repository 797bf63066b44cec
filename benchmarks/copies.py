"""What a copy of many rows takes: memory of the runner above that of an idle one, and seconds.

`python benchmarks/copies.py --size 1000` lets `aiodp run` do one CopyActivity after the other, of
so many MB each: from S3 to S3 as it is, and in another format and compressed; from PostgreSQL to
S3, and from S3 into PostgreSQL, if it is installed. Each runner is a process of its own. The S3
beside the local service keeps nothing: it makes up what is read, and counts what is written. The
exit code is 1 if a runner's memory has grown by more than 150 MiB, or if a byte is missing.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
from rich.console import Console
from rich.table import Table

from aiodp.testing import ServerKit, Status

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from sql_servers import running_postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sql_servers import SqlServer

MOST_MIB: Final = 150
GROUP: Final = "copies"
ROW: Final = "{:012},a text of some length\\, with a comma,{:012}.25,2026-01-02 03:04:05\n"
ROWS: Final = 10_000
OBJECTS: Final = 4
"""Of a directory."""
BLOCK: Final = "".join(ROW.format(n, n) for n in range(ROWS)).encode()
FROM: Final = {"id": "From", "type": "S3DataNode", "filePath": "s3://bucket/input.csv"}
TO: Final = {"id": "To", "type": "S3DataNode", "filePath": "s3://bucket/output"}
TSV: Final = {"id": "Tsv", "type": "TSV"}
TABLE: Final = {"type": "SqlDataNode", "database": {"ref": "Base"}, "table": "t"}
SELECT: Final = (
    "SELECT lpad(n::text, 12, '0'), 'a text of some length, with a comma', "
    "lpad(n::text, 12, '0') || '.25', '2026-01-02 03:04:05' "
    "FROM generate_series(0, {}) b, generate_series(0, {}) n"
)
CREATE: Final = "DROP TABLE IF EXISTS t; CREATE TABLE t (n BIGINT, s TEXT, f FLOAT, at TIMESTAMP)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one copy took."""

    name: str
    idle_mib: float
    peak_mib: float
    seconds: float
    is_whole: bool


class Storage(ThreadingHTTPServer):
    """An S3 that makes up one object, and only counts what is written."""

    daemon_threads = True

    def __init__(self, blocks: int) -> None:
        super().__init__(("127.0.0.1", 0), Requests)
        self.blocks = blocks
        self.written = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Requests(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Storage

    def do_GET(self) -> None:
        if "list-type" in self.path:
            keys = "".join(f"<Contents><Key>in/{n}</Key></Contents>" for n in range(OBJECTS))
            self._send(f"<ListBucketResult>{keys}</ListBucketResult>")
            return
        self._head(len(BLOCK) * self.server.blocks)
        for _ in range(self.server.blocks):
            self.wfile.write(BLOCK)

    def do_PUT(self) -> None:
        left = int(self.headers["Content-Length"])
        self.server.written += left
        while left:
            left -= len(self.rfile.read(min(left, 1 << 20)))
        self._head(0)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        begins = "uploads" in parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        name = "InitiateMultipartUploadResult" if begins else "CompleteMultipartUploadResult"
        self._send(f"<{name}><UploadId>upload</UploadId><ETag>1</ETag></{name}>")

    def log_message(self, *_: object) -> None:
        pass

    def _send(self, text: str) -> None:
        self._head(len(text))
        self.wfile.write(text.encode())

    def _head(self, length: int) -> None:
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(length))
        self.end_headers()


@contextmanager
def storage(blocks: int) -> Iterator[Storage]:
    with Storage(blocks) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def memory(pid: int, name: str) -> float:
    """Return a line of the process's status, in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:"))


def run(
    kit: ServerKit, store: Storage, objects: list[dict[str, Any]]
) -> tuple[float, float, float]:
    """Let a runner do the one activity; return its memory when idle, its peak, and seconds."""
    default = {"id": "Default", "scheduleType": "ondemand", "maximumRetries": "0"}
    work: dict[str, Any] = {"id": "Copy", "type": "CopyActivity", "workerGroup": GROUP}
    work |= {"input": {"ref": "From"}, "output": {"ref": "To"}}
    pipeline = kit.pipeline({"objects": [default, work, *objects]}, activate=False)
    environment = {name: value for name, value in os.environ.items() if name[:4] != "AWS_"}
    environment |= {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"}
    environment |= {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": kit.endpoint}
    environment |= {"AWS_ENDPOINT_URL_S3": store.url}
    aiodp = Path(sys.executable).with_name("aiodp")
    with (
        tempfile.TemporaryDirectory() as directory,
        subprocess.Popen(
            [aiodp, "run", "--workerGroup", GROUP, "--max-tasks", "1"],
            env=environment,
            cwd=directory,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr
        assert "works on" in process.stderr.readline()
        time.sleep(2)
        idle = memory(process.pid, "VmRSS")
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")  # the peak of its start
        peak, began_at = idle, time.monotonic()
        pipeline.activate()
        while process.poll() is None:
            try:
                peak = memory(process.pid, "VmHWM")
            except (OSError, StopIteration):
                break  # it has ended
            time.sleep(0.05)
        seconds = time.monotonic() - began_at
        told = process.stderr.read()
    kit.wait_ended(pipeline)
    assert {run.status for run in kit.runs(pipeline)} == {Status.FINISHED}, told
    return idle, peak, seconds


def measure(size: int, console: Console) -> list[Figures]:
    """Do each copy of about so many MB."""
    blocks = max(1, size * 1_000_000 // len(BLOCK))
    plain = len(BLOCK) * blocks
    figures: list[Figures] = []

    def add(name: str, objects: list[dict[str, Any]], expected: int | None) -> None:
        with storage(blocks) as store:
            idle, peak, seconds = run(kit, store, objects)
            is_whole = store.written == expected if expected is not None else True
        figures.append(
            Figures(name=name, idle_mib=idle, peak_mib=peak, seconds=seconds, is_whole=is_whole)
        )
        console.print(figures[-1])

    with ServerKit() as kit, ExitStack() as servers:
        add("S3 to S3, as it is", [FROM, TO], plain)
        tab = {**TO, "dataFormat": {"ref": "Tsv"}}
        escapes = ROWS * blocks  # of the commas
        add("S3 to S3, CSV to TSV", [FROM, tab, TSV], plain - escapes)
        paths = {"From": "s3://bucket/in", "To": "s3://bucket/out"}
        given = {"type": "S3DataNode", "compression": "none"}
        nodes = [{"id": name, **given, "directoryPath": path} for name, path in paths.items()]
        add(f"S3 to S3, {OBJECTS} such objects", nodes, OBJECTS * plain)
        add("S3 to S3, CSV to TSV, gzip", [FROM, {**tab, "compression": "gzip"}, TSV], None)
        try:
            postgres: SqlServer = servers.enter_context(running_postgres())
        except pytest.skip.Exception as skipped:
            console.print(skipped)
            return figures
        base = {"id": "Base", **postgres.fields()}
        table = {**TABLE, "id": "From", "selectQuery": SELECT.format(blocks - 1, ROWS - 1)}
        add("PostgreSQL to S3", [table, TO, base], plain)
        postgres.execute(CREATE)
        add("S3 to PostgreSQL", [FROM, {**TABLE, "id": "To"}, base], 0)
        assert postgres.execute("SELECT COUNT(*) FROM t") == [(str(ROWS * blocks),)]
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", type=int, default=200, metavar="MB")
    size = parser.parse_args().size
    console = Console()
    figures = measure(size, console)
    table = Table("copy", "idle MiB", "more at its peak", "seconds")
    for one in figures:
        more = one.peak_mib - one.idle_mib
        table.add_row(one.name, f"{one.idle_mib:.0f}", f"{more:.0f}", f"{one.seconds:.0f}")
    console.print(table)
    holds = all(one.is_whole and one.peak_mib - one.idle_mib <= MOST_MIB for one in figures)
    console.print("holds" if holds else "BROKEN")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
