"""A PostgreSQL and a MariaDB for a session of tests, of the programs that the system has.

Each runs in a directory of its own, on a free port of this machine, as an unprivileged user: both
refuse to run as root.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USERNAME = "aiodp"
PASSWORD = "top-secret-of-tests"
DATABASE = "pipelines"
UNPRIVILEGED = "nobody"
START_TIMEOUT = 60.0
_INSTALL = "which Debian has: apt-get install -y postgresql mariadb-server"


@dataclass(frozen=True, kw_only=True)
class SqlServer:
    """A server that runs, and a client of it that tests look through."""

    scheme: str
    port: int
    certificate: Path
    """Its own, which it has signed itself."""
    ask: Callable[[str], str]
    username: str = USERNAME
    password: str = PASSWORD

    @property
    def jdbc_url(self) -> str:
        return f"jdbc:{self.scheme}://127.0.0.1:{self.port}/{DATABASE}"

    def fields(self, **more: object) -> dict[str, object]:
        """Return the fields of a `JdbcDatabase`."""
        return {
            "type": "JdbcDatabase",
            "connectionString": self.jdbc_url,
            "jdbcDriverClass": "org.example.Driver",
            "username": self.username,
            "*password": self.password,
            **more,
        }

    def execute(self, sql: str) -> list[tuple[str, ...]]:
        """Run statements as the client program does; return the rows of the last, as text."""
        return [tuple(line.split("\t")) for line in self.ask(sql).splitlines()]


@pytest.fixture(scope="session")
def postgres() -> Iterator[SqlServer]:
    """Return a PostgreSQL, or skip."""
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[SqlServer]:
    """Return a MariaDB, or skip."""
    with running_mariadb() as server:
        yield server


@contextmanager
def running_postgres() -> Iterator[SqlServer]:
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version)
    if not programs:
        pytest.skip(f"there is no PostgreSQL, {_INSTALL}")
    bin_directory = programs[-1]
    with _directory() as directory:
        data, password = directory / "data", directory / "password"
        password.write_text(PASSWORD)
        _own(password)
        _run(
            *(bin_directory / "initdb", "-D", data, "-U", USERNAME, "-E", "UTF8", "--locale=C"),
            *("--no-sync", "--no-instructions", "-A", "scram-sha-256", f"--pwfile={password}"),
        )

        certificate, key = _certificate(directory)

        def command(port: int) -> list[object]:
            tls = ("ssl=on", f"ssl_cert_file={certificate}", f"ssl_key_file={key}")
            settings = ("fsync=off", "listen_addresses=127.0.0.1", "max_wal_senders=0", *tls)
            options = [part for setting in settings for part in ("-c", setting)]
            return [bin_directory / "postgres", "-D", data, "-p", port, "-k", directory, *options]

        def client(port: int, database: str) -> Callable[[str], str]:
            options = ("--no-psqlrc", "-qAt", "-F", "\t", "-v", "ON_ERROR_STOP=1")
            address = ("-h", "127.0.0.1", "-p", port, "-U", USERNAME, "-d", database)
            return _client([bin_directory / "psql", *options, *address], PGPASSWORD=PASSWORD)

        with _started(command, directory) as port:
            _wait_until_answered(client(port, "postgres"), f"CREATE DATABASE {DATABASE}")
            ask = client(port, DATABASE)
            yield SqlServer(scheme="postgresql", port=port, certificate=certificate, ask=ask)


@contextmanager
def running_mariadb() -> Iterator[SqlServer]:
    server, install = (_program(name) for name in ("mariadbd", "mariadb-install-db"))
    if server is None or install is None:
        pytest.skip(f"there is no MariaDB, {_INSTALL}")
    with _directory() as directory:
        data = f"--datadir={directory / 'data'}"
        _run(install, "--no-defaults", data, "--skip-test-db", f"--tmpdir={directory}")
        grants = directory / "grants.sql"
        grants.write_text(
            "FLUSH PRIVILEGES;\n"
            f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4;\n"
            f"CREATE USER {USERNAME}@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON *.* TO {USERNAME}@'%';\n"
            "DROP USER IF EXISTS ''@localhost;\n"
            f"DROP USER IF EXISTS ''@'{socket.gethostname()}';\n"
        )
        _own(grants)
        certificate, key = _certificate(directory)

        def command(port: int) -> list[object]:
            return [
                *(server, "--no-defaults", data, f"--socket={directory / 'socket'}"),
                *(f"--port={port}", "--bind-address=127.0.0.1", f"--init-file={grants}"),
                *("--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M"),
                *("--skip-name-resolve", f"--tmpdir={directory}"),
                *(f"--ssl-cert={certificate}", f"--ssl-key={key}"),
            ]

        with _started(command, directory) as port:
            client = _client(
                [
                    *(_program("mariadb"), "--no-defaults", "-N", "-B", "--protocol=tcp"),
                    *("-h", "127.0.0.1", "-P", port, "-u", USERNAME, "-D", DATABASE),
                ],
                MYSQL_PWD=PASSWORD,
            )
            _wait_until_answered(client, "SELECT 1")
            yield SqlServer(scheme="mysql", port=port, certificate=certificate, ask=client)


def _version(path: Path) -> int:
    return int(path.parent.name.partition(".")[0])


def _program(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")


def _unprivileged() -> pwd.struct_passwd | None:
    return pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None


def _own(path: Path) -> None:
    if account := _unprivileged():
        os.chown(path, account.pw_uid, account.pw_gid)


def _as_unprivileged() -> list[str]:
    """Return the beginning of a command that ends with the tests, however they end."""
    account = _unprivileged()
    ids = [f"--reuid={account.pw_uid}", f"--regid={account.pw_gid}"] if account else []
    return ["setpriv", *ids, *(["--clear-groups"] if ids else []), "--pdeathsig=KILL"]


@contextmanager
def _directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="aiodp-sql-"))
    try:
        _own(directory)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _certificate(directory: Path) -> tuple[Path, Path]:
    """Return a certificate of 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "aiodp")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = directory / "certificate.pem", directory / "key.pem"
    form = serialization.Encoding.PEM
    files[0].write_bytes(made.public_bytes(form))
    private = serialization.PrivateFormat.PKCS8
    files[1].write_bytes(key.private_bytes(form, private, serialization.NoEncryption()))
    for file in files:
        file.chmod(0o600)
        _own(file)
    return files


def _run(*command: object) -> None:
    full = [*_as_unprivileged(), *map(str, command)]
    done = subprocess.run(full, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode == 0, done.stdout + done.stderr


@contextmanager
def _started(command: Callable[[int], list[object]], directory: Path) -> Iterator[int]:
    """Yield the port on which the server listens."""
    with (directory / "log").open("wb") as log:
        for _ in range(5):  # somebody else may get the port first
            port = _free_port()
            full = [*_as_unprivileged(), *map(str, command(port))]
            process = subprocess.Popen(full, stdout=log, stderr=log, cwd="/")
            if _listens(process, port):
                break
        else:
            pytest.fail((directory / "log").read_text(errors="replace"))
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def _listens(process: subprocess.Popen[bytes], port: int) -> bool:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return True
        time.sleep(0.02)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _client(command: list[object], **environment: str) -> Callable[[str], str]:
    def ask(sql: str) -> str:
        done = subprocess.run(
            list(map(str, command)),
            input=sql,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **environment},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return ask


def _wait_until_answered(ask: Callable[[str], str], sql: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while True:
        try:
            ask(sql)
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
