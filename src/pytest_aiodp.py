"""The pytest plugin of aiodp: a local AWS Data Pipeline for each test that asks for one.

It is outside the package, because pytest imports it at every start: the package is imported only
when a test uses one of its fixtures.
"""

from __future__ import annotations

import os
import sys
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from aiobotocore.session import AioSession

    from aiodp.testing import MemoryKit, ServerKit, Settings
    from aiodp.testing._port import ReservedPort

_PORT: Final[pytest.StashKey[ReservedPort]] = pytest.StashKey()
_OPTIONS: Final = {
    "idle_polls": False,
    "longest_poll": ...,
    "region_name": "us-east-1",
    "settings": None,
    "single_owner": True,
    "time_scale": None,
}
_OFFLINE: Final = (
    "Direct every AWS client which reads the environment to one endpoint of this process, with "
    "made-up credentials, as long as pytest runs: there aiodp_server is in its tests, else nobody."
)
_MARKER: Final = (
    "aiodp(time_scale=…, settings=…, region_name='us-east-1', single_owner=True, longest_poll=…, "
    "idle_polls=False): how the local Data Pipeline of this test runs; single_owner=False: the "
    "test lets two workers have one task; idle_polls=True: it polls one worker group while "
    "another's work waits; longest_poll=None: polls are held as long as the settings say."
)
_NOT_SERVED: Final = "The test called an AWS client, but does not use the fixture aiodp_server."
_NOT_CALLED: Final = "No call of a client has come to aiodp_server in the region {}."
_MADE_BEFORE: Final = (
    "A client which was made before the test, such as one at the top of a module, does not know "
    "its endpoint: make it within\nthe test, or put aiodp_offline = true into the configuration of "
    "pytest."
)
_LONGEST_POLL: Final = 5.0
"""Real seconds for which `aiodp_server` holds a poll; botocore gives up after 60."""
_LONGEST_POLL_IN_PROCESS: Final = 20.0
"""More than over HTTP, so that hours of virtual time are no thousands of polls."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the ini-option."""
    parser.addini("aiodp_offline", _OFFLINE, type="bool", default=False)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Keep clients from AWS, if `aiodp_offline` is set, before a module of the user's makes one.

    It is off by default: the plugin is active in every project with aiodp, and some test on AWS.
    """
    if not early_config.getini("aiodp_offline"):
        return
    from aiodp.testing._port import ReservedPort  # noqa: PLC0415 - only when it is used

    port = early_config.stash[_PORT] = ReservedPort()
    early_config.add_cleanup(port.close)
    patch = pytest.MonkeyPatch()
    early_config.add_cleanup(patch.undo)
    _unset_redirecting(patch)
    _set_endpoint(port.endpoint, "us-east-1", patch)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Say of a module which makes a client, but finds no region, how it gets one."""
    report = yield
    if report.failed and "NoRegionError" in str(report.longrepr):
        report.sections.append(("aiodp", _MADE_BEFORE))
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Say of a failed test that its clients do not reach the service, if that is how it looks."""
    report = yield
    kit = getattr(item, "funcargs", {}).get("aiodp_server")
    if report.when == "call" and call.excinfo is not None:
        error, port = call.excinfo.value, item.config.stash.get(_PORT, None)
        if kit is None and port is not None and port.endpoint in str(error):
            report.sections.append(("aiodp", _NOT_SERVED))
        if kit is not None and _looks_lost(error) and not kit.calls:
            advice = f" {_MADE_BEFORE}" if port is None else ""
            report.sections.append(("aiodp", _NOT_CALLED.format(kit.region_name) + advice))
    return report


@pytest.fixture
def aiodp_settings() -> Settings:
    """Return the `aiodp.testing.Settings` of the local service; override it to change them."""
    from aiodp.testing import Settings  # noqa: PLC0415 - only when it is used

    return Settings()


@pytest.fixture
def aiodp_time_scale() -> float:
    """Return how many seconds of `aiodp_server` pass in a real one: 1.0; override it to change."""
    return 1.0


@pytest.fixture
def aiodp_server(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    aiodp_settings: Settings,
    aiodp_time_scale: float,
) -> Iterator[ServerKit]:
    """Serve a Data Pipeline over HTTP, new for this test, with S3 and the rest of moto beside it.

    The environment directs boto3, aiobotocore and the AWS CLI to it, in this process and in those
    it starts. An `aiodp.testing.ServerKit`; needs the extra `aiodp[emulator]`. The test fails if
    two workers had one task in hand at one time, and if work waits for which nobody polls while
    another worker group is polled.
    """
    from aiodp.testing import ServerKit  # noqa: PLC0415 - only when it is used

    options = _options(request)
    scale = aiodp_time_scale if options["time_scale"] is None else options["time_scale"]
    _unset_redirecting(monkeypatch)
    port = request.config.stash.get(_PORT, None)
    try:
        kit = ServerKit(
            _settings(options, aiodp_settings, _LONGEST_POLL * scale or None),
            time_scale=scale,
            region_name=options["region_name"],
            port=0 if port is None else port.number,
        )
    except ModuleNotFoundError as error:
        pytest.fail(f"aiodp_server cannot be used: {error}", pytrace=False)
    with nullcontext() if port is None else port.lent(), kit:
        _set_endpoint(kit.endpoint, kit.region_name, monkeypatch)
        kit.idle_polls = options["idle_polls"]
        yield kit
    _check(kit, options)


@pytest.fixture(scope="session")
def _aiodp_data_loader() -> Any:
    """Keep the API's description, so that it is read from disk once and not for each test."""
    from botocore.loaders import create_loader  # noqa: PLC0415 - only when it is used

    return create_loader()


@pytest.fixture
def aiodp_client(aiodp_server: ServerKit, _aiodp_data_loader: Any) -> Iterator[Any]:
    """Make a botocore client of `aiodp_server`, as boto3 does, which waits for a held poll."""
    from botocore.config import Config  # noqa: PLC0415 - only when it is used
    from botocore.session import get_session  # noqa: PLC0415

    session = get_session()
    session.register_component("data_loader", _aiodp_data_loader)
    client = session.create_client(
        "datapipeline",
        endpoint_url=aiodp_server.endpoint,
        region_name=aiodp_server.region_name,
        config=Config(read_timeout=100),
    )
    yield client
    client.close()


@pytest.fixture
def aiodp_service(request: pytest.FixtureRequest, aiodp_settings: Settings) -> Iterator[MemoryKit]:
    """Run a Data Pipeline in process, new for this test: no sockets, in real or in virtual time.

    An `aiodp.testing.MemoryKit`. The test fails as one of `aiodp_server` does.
    """
    from aiodp.testing import MemoryKit  # noqa: PLC0415 - only when it is used

    options = _options(request)
    if options["time_scale"] is not None:
        pytest.fail("time_scale is of aiodp_server; in process, use virtual time", pytrace=False)
    settings = _settings(options, aiodp_settings, _LONGEST_POLL_IN_PROCESS)
    kit = MemoryKit(settings, region_name=options["region_name"])
    yield kit
    _check(kit, options)


@pytest.fixture
def aiodp_session(
    request: pytest.FixtureRequest, aiodp_service: MemoryKit, _aiodp_data_loader: Any
) -> AioSession:
    """Make an aiobotocore session whose Data Pipeline clients `aiodp_service` answers.

    Its credentials are made up, and a client for another service cannot call AWS. In
    tests of anyio's plugin which run on trio, its clients use the HTTP library that runs there.
    """
    from aiobotocore.session import get_session  # noqa: PLC0415 - only when it is used

    session = get_session()
    session.register_component("data_loader", _aiodp_data_loader)
    if _is_on_trio(request):
        _use_httpx(session)
    return aiodp_service.attach(session)


def _options(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return the marker's options; of several markers the nearest one decides."""
    options: dict[str, Any] = dict(_OPTIONS)
    for marker in reversed(list(request.node.iter_markers("aiodp"))):
        unknown = set(marker.kwargs) - set(_OPTIONS)
        if marker.args or unknown:
            named = ", ".join(sorted(unknown)) or "arguments without a name"
            message = f"the marker aiodp has {', '.join(_OPTIONS)}, but not {named}"
            pytest.fail(message, pytrace=False)
        options |= marker.kwargs
    return options


def _settings(options: dict[str, Any], default: Settings, longest_poll: float | None) -> Settings:
    """Return the marker's settings, or those of the fixture, which hold no poll for longer."""
    given: Settings = default if options["settings"] is None else options["settings"]
    longest = longest_poll if options["longest_poll"] is ... else options["longest_poll"]
    if longest is None or getattr(given, "poll_hold", 0.0) <= longest:  # the kit refuses others
        return given
    return replace(given, poll_hold=longest)


def _unset_redirecting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Unset what would direct clients elsewhere, and the profile, which this machine may lack."""
    from aiodp.testing._environment import redirecting  # noqa: PLC0415 - only when it is used

    for name in redirecting(os.environ):
        monkeypatch.delenv(name)


def _set_endpoint(endpoint: str, region_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from aiodp.testing._environment import local_variables  # noqa: PLC0415 - as above

    for name, value in local_variables(endpoint, region_name).items():
        monkeypatch.setenv(name, value)
    if "boto3" in sys.modules:  # its default session keeps the credentials it found first
        monkeypatch.setattr(sys.modules["boto3"], "DEFAULT_SESSION", None)


def _check(kit: ServerKit | MemoryKit, options: dict[str, Any]) -> None:
    """Fail the test for what is wrong with its waits or its workers, though it has passed."""
    checks = [kit.assert_awaited]
    if options["single_owner"]:
        checks.append(kit.assert_single_owner)
    if not options["idle_polls"]:
        checks.append(kit.assert_polled)
    messages = []
    for check in checks:
        try:
            check()
        except AssertionError as error:
            messages.append(str(error))
    if messages:  # outside of the except clause, or pytest would show the assertion as well
        pytest.fail("\n".join(messages), pytrace=False)


def _looks_lost(error: BaseException) -> bool:
    """Return whether an error may come from a client which does not find the service."""
    return type(error).__module__.startswith("botocore") or "for a poll of" in str(error)


def _is_on_trio(request: pytest.FixtureRequest) -> bool:
    if "anyio_backend" not in request.fixturenames:
        return False
    return bool(request.getfixturevalue("anyio_backend_name") == "trio")


def _use_httpx(session: AioSession) -> None:
    from aiobotocore.config import AioConfig  # noqa: PLC0415 - only when it is used
    from aiobotocore.httpxsession import HttpxSession  # noqa: PLC0415

    session.set_default_client_config(AioConfig(http_session_cls=HttpxSession))
