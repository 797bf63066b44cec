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
    """Virtual time where no socket is; real time, scaled, over HTTP."""
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
) -> AsyncIterator[PipelineService]:
    running = MemoryForm(session, settings) if form == "memory" else HttpForm(session, settings)
    yield running
    running.close()
