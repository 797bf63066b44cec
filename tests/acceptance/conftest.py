from __future__ import annotations

import fcntl
import subprocess
import sys
import venv
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from acceptance.browser_kit import open_browser
from acceptance.page_kit import Page, serve
from acceptance.plugin_kit import INI
from acceptance.support import CREDENTIALS, RESOURCE_GROUP, ROOT, kept_environment
from aiodp.emulator import EmulatorServer, Settings
from sql_servers import mariadb, postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from selenium import webdriver

__all__ = ["mariadb", "postgres"]  # fixtures


@pytest.fixture
def server() -> Iterator[EmulatorServer]:
    """A server on which a minute of the service lasts two seconds."""
    settings = Settings(resource_worker_group=RESOURCE_GROUP)
    with EmulatorServer(time_scale=30, settings=settings) as running:
        yield running


@pytest.fixture
def connect() -> Iterator[Callable[..., Any]]:
    """Makes boto3 clients of a server, and closes them."""
    with ExitStack() as clients:
        yield lambda *given, **options: clients.enter_context(
            closing(make_client(*given, **options))
        )


def make_client(server: EmulatorServer, service: str = "datapipeline", **options: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=server.endpoint,
        region_name=options.pop("region_name", "us-east-1"),
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        **options,
    )


@pytest.fixture
def clean_environment() -> dict[str, str]:
    """The environment for a foreign process: no settings of ours or of AWS, but credentials."""
    return kept_environment() | CREDENTIALS


@pytest.fixture(scope="session")
def _imported() -> None:
    """Import what the tests of a project need, so that not each run of them does it again."""
    with EmulatorServer() as server, closing(make_client(server, "s3")) as s3:
        s3.list_buckets()


@pytest.fixture
def project(pytester: pytest.Pytester, _imported: None) -> pytest.Pytester:
    """A project that uses the plugin, and whose warnings are errors."""
    pytester.makeini(INI)
    return pytester


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One headless Chromium for all tests."""
    with open_browser(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture
def page(browser) -> Iterator[Page]:
    """The page of a service whose leases outlast any test, as it runs in real time."""
    with serve() as server:
        opened = Page(browser, server)
        yield opened
        browser.get("about:blank")


@pytest.fixture(scope="session")
def aws_cli() -> Path:
    """The AWS CLI of PyPI in an environment of its own, which is made once and kept."""
    home = ROOT / ".cache" / "awscli"
    command = home / "bin" / "aws"
    with _locked(home.with_suffix(".lock")):
        if not _works(command):
            venv.create(home, clear=True)
            _pip_install(home, "awscli")
    return command


@pytest.fixture(scope="session")
def aiodp() -> Path:
    """The installed command."""
    return Path(sys.executable).with_name("aiodp")


def _works(command: Path) -> bool:
    return (
        command.exists()
        and not subprocess.run([command, "--version"], check=False, capture_output=True).returncode
    )


def _pip_install(home: Path, *packages: str) -> None:
    pip = [sys.executable, "-m", "pip", "--python", str(home / "bin" / "python"), "install"]
    command = [*pip, "--disable-pip-version-check", *packages]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"pip cannot install {packages}: {done.stderr}"


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
