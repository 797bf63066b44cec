"""The forms of the service which the conformance suite runs against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiobotocore.session import AioSession

from aiodp.testing import Settings, VirtualTimeLoop
from contract.forms import MemoryForm, PipelineService
from contract.http_form import HttpForm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(params=["memory", "http"])
def form(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def anyio_backend(form: str) -> tuple[str, dict[str, Any]]:
    """Virtual time in process; over HTTP the loop runs in real time, for the sockets."""
    options = {"loop_factory": VirtualTimeLoop} if form == "memory" else {}
    return "asyncio", options


@pytest.fixture
def settings() -> Settings:
    """The service's settings; a test which needs others parametrises this name."""
    return Settings(quotas=None)


@pytest.fixture(scope="session")
def session() -> AioSession:
    """One session for all, because each loads the API's description anew."""
    return AioSession()


@pytest.fixture
async def pipeline_service(
    form: str,
    session: AioSession,
    settings: Settings,
    anyio_backend: tuple[str, dict[str, Any]],  # the loop to be started in
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[PipelineService]:
    # Only what happens wakes a request that is held, and not the check of its client.
    monkeypatch.setattr("aiodp.emulator._server.waiting.CLIENT_CHECK_INTERVAL", 60.0)
    running = MemoryForm(session, settings) if form == "memory" else HttpForm(session, settings)
    yield running
    running.close()
