"""Virtual time on both event loops; the service in process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.httpxsession import HttpxSession
from aiobotocore.session import AioSession, get_session
from trio.testing import MockClock

from aiodp import ProgressReporter, TaskRunner
from aiodp.testing import MemoryKit, MemoryService, VirtualTimeLoop
from virtual.fake_transport import FakeReporter, FakeRunner

if TYPE_CHECKING:
    from collections.abc import Callable


# The service's description is read from disk once, not once for each test.
LOADER = get_session().get_component("data_loader")


@pytest.fixture(params=["asyncio", pytest.param("trio", marks=pytest.mark.slow)])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Each test runs on asyncio and on trio, both on a clock that jumps."""
    if request.param == "trio":
        return "trio", {"clock": MockClock(autojump_threshold=0)}
    return "asyncio", {"loop_factory": VirtualTimeLoop}


@pytest.fixture
def service() -> MemoryService:
    """A Data Pipeline of the test's own."""
    return MemoryService(clock=anyio.current_time)


@pytest.fixture
def new_session(anyio_backend_name: str) -> Callable[[], AioSession]:
    """Makes sessions; on trio over the HTTP library that runs there."""

    def make() -> AioSession:
        session = get_session()
        session.register_component("data_loader", LOADER)
        if anyio_backend_name == "trio":
            session.set_default_client_config(AioConfig(http_session_cls=HttpxSession))
            # Nothing is sent, so there are no certificates to verify. They would be loaded in a
            # thread, for which virtual time does not wait, and over which the clock spins.
            session.set_config_variable("ca_bundle", False)
        return session

    return make


@pytest.fixture
def session(service: MemoryService, new_session: Callable[[], AioSession]) -> AioSession:
    """A session whose calls go to the service."""
    return service.attach(new_session())


@pytest.fixture
def kit() -> MemoryKit:
    """A Data Pipeline of the test's own, with pipelines in it."""
    return MemoryKit()


@pytest.fixture
def runner(kit: MemoryKit) -> Callable[..., TaskRunner]:
    """Makes task runners of the kit's worker group, whose calls go straight to its model."""

    def make(handler: object = None, **options: Any) -> TaskRunner:
        return FakeRunner(kit, worker_group="workers", handler=handler, **options)

    return make


@pytest.fixture
def client_runner(
    kit: MemoryKit, new_session: Callable[[], AioSession]
) -> Callable[..., TaskRunner]:
    """Makes task runners with clients of their own, for what the clients have a part in."""
    session = kit.attach(new_session())

    def make(handler: object = None, **options: object) -> TaskRunner:
        return TaskRunner(session, worker_group="workers", handler=handler, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def reporter(service: MemoryService) -> Callable[..., ProgressReporter]:
    """Makes reporters with the defaults of the service, whose calls go straight to its model."""

    def make(service: MemoryService = service, **options: Any) -> ProgressReporter:
        return FakeReporter(service, **options)

    return make


@pytest.fixture
def client_reporter(session: AioSession) -> Callable[..., ProgressReporter]:
    """Makes reporters with clients of their own, for what the client has a part in."""

    def make(**options: object) -> ProgressReporter:
        return ProgressReporter(session, **options)  # type: ignore[arg-type]

    return make
