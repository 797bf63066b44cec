"""Moto's datapipeline backend, extended to the whole service and its behaviour in time.

`install` replaces moto's own backend, so that S3 and everything else of moto are served beside it
by one server, or in one process under `moto.mock_aws`.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any, Final, cast

from botocore.loaders import create_loader
from botocore.regions import EndpointResolver
from botocore.session import Session
from moto.core.base_backend import BackendDict, backend_lock
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.datapipeline import models, responses, urls
from moto.datapipeline.models import DataPipelineBackend, PipelineObject
from moto.datapipeline.responses import DataPipelineResponse
from moto.datapipeline.utils import remove_capitalization_of_dict_keys

from aiodp.emulator._errors import ServiceError, invalid
from aiodp.emulator._server import call_log
from aiodp.emulator._server.call import Call
from aiodp.emulator._server.cloudformation import EmulatedPipeline, redirect_stacks
from aiodp.emulator._server.locked import LockedService
from aiodp.emulator._server.outbox import Outbox
from aiodp.emulator._server.outside_moto import MotoOutside
from aiodp.emulator._server.ticker import Ticker
from aiodp.emulator._server.waiting import DroppedConnectionError
from aiodp.emulator._store import ServiceStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moto.core.request import Request

    from aiodp.emulator._clock import Clock
    from aiodp.emulator._settings import Settings
    from aiodp.emulator._store import Store


MAX_SERVICES: Final = 1_000
"""Accounts and regions which are served, each a service of its own."""
_CLOSE_TIMEOUT: Final = 1.0  # real seconds for each thread, and what it still has to send
_PROFILE: Final = frozenset({"AWS_PROFILE", "AWS_DEFAULT_PROFILE"})


class EmulatedBackend(DataPipelineBackend):
    """One account in one region. The methods of moto's own backend are calls to the service."""

    def __init__(self, region_name: str, account_id: str, *, service: LockedService) -> None:
        super().__init__(region_name, account_id)
        self.service = service

    @property
    def _url_module(self) -> Any:  # moto looks in the class's package, which has no urls
        return urls

    def reset(self) -> None:
        """Forget everything; moto calls it for `POST /moto-api/reset`."""
        with suppress(DroppedConnectionError):  # raised if the server has stopped
            self.service.reset()
        self.pipelines.clear()

    def create_pipeline(self, name: str, unique_id: str, **kwargs: Any) -> EmulatedPipeline:
        """Create a pipeline in the model."""
        optional = {key: value for key, value in kwargs.items() if value}
        made = self.call("CreatePipeline", name=name, uniqueId=unique_id, **optional)
        pipeline_id = made["pipelineId"]
        # Moto's own class is abstract as well, and moto makes instances of it all the same.
        pipeline = EmulatedPipeline(  # type: ignore[abstract]
            self, pipeline_id, name, unique_id
        )
        return cast("EmulatedPipeline", self.pipelines.setdefault(pipeline_id, pipeline))

    def delete_pipeline(self, pipeline_id: str) -> None:
        """Delete a pipeline in the model."""
        self.call("DeletePipeline", pipelineId=pipeline_id)
        self.pipelines.pop(pipeline_id, None)

    def put_pipeline_definition(self, pipeline_id: str, pipeline_objects: Any) -> None:
        """Store a definition in the model; its keys may have CloudFormation's capitals."""
        objects = remove_capitalization_of_dict_keys(pipeline_objects)
        self.call("PutPipelineDefinition", pipelineId=pipeline_id, pipelineObjects=objects)

    def get_pipeline_definition(self, pipeline_id: str) -> Any:
        """Return the objects of the definition."""
        answer = self.call("GetPipelineDefinition", pipelineId=pipeline_id)
        return [_as_object(item) for item in answer["pipelineObjects"]]

    def describe_objects(self, object_ids: list[str], pipeline_id: str) -> list[Any]:
        """Return these objects."""
        answer = self.call("DescribeObjects", pipelineId=pipeline_id, objectIds=object_ids)
        return [_as_object(item) for item in answer["pipelineObjects"]]

    def activate_pipeline(self, pipeline_id: str) -> None:
        """Activate a pipeline in the model."""
        self.call("ActivatePipeline", pipelineId=pipeline_id)

    def call(self, operation: str, **params: Any) -> dict[str, Any]:
        """Return the service's answer; raises `ServiceError` for a refusal, and for no answer."""
        try:
            answer = self.service.request(operation, params)
            result: dict[str, Any] = json.loads(answer.body or b"{}")
        except (DroppedConnectionError, ValueError) as error:  # by a fault, or as the server stops
            raise ServiceError("InternalServiceError", f"{operation}: {error}") from error
        if answer.status == 200:  # noqa: PLR2004
            return result
        code = result.get("__type", "InternalServiceError").rpartition("#")[2]
        raise ServiceError(code, result.get("message", ""))


class EmulatedResponse(DataPipelineResponse):
    """Every operation: the request goes to the model as it is, and so does its answer back."""

    def _dispatch(
        self,
        request: Request,
        full_url: str | None = None,  # noqa: ARG002 - the overridden signature
        headers: Any = None,  # noqa: ARG002
    ) -> tuple[int, dict[str, Any], str | bytes]:
        call = Call.of(request.method, request.headers.items(), request.get_data())
        with call_log.timed(call) as entry:
            answer = call.answer(_installed[-1].service)
            entry.answer = answer
        return answer.status, dict(answer.headers), answer.body


class Emulation:
    """The services of all accounts and regions on one clock, and moto's view of them."""

    def __init__(self, clock: Clock, settings: Settings, store: Store | None = None) -> None:
        self.clock = clock
        self.closed = False
        self._settings = settings
        self._store = store
        self._outbox = Outbox()
        self._ticker = Ticker()
        self._ticker.start()
        self._services: dict[tuple[str, str], LockedService] = {}
        self.backends: BackendDict[EmulatedBackend] = BackendDict(
            cast("type[EmulatedBackend]", partial(_new_backend, self)),
            "datapipeline",
            additional_regions=_regions(),
        )

    def service(self, account: str, region: str) -> LockedService:
        """Return the service of an account in a region; it stays the same through resets.

        Raises `KeyError` for a region which AWS does not have, `ServiceError` if there are too
        many services: anybody can make up accounts.
        """
        with backend_lock:
            if len(self._services) >= MAX_SERVICES and (account, region) not in self._services:
                raise invalid(f"This server has {MAX_SERVICES} accounts and regions, all it may")
            return self.backends[account][region].service

    def service_to_read(self, account: str, region: str) -> LockedService:
        """Return the service as `service` does, but make none for this account and region.

        Where there is none yet, the answer is a new one, closed, which belongs to the caller.
        """
        used = (account, region) in self._services
        if used or region not in self.backends[DEFAULT_ACCOUNT_ID]:
            return self.service(account, region)
        service = LockedService(self.clock, self._settings)
        service.close()
        return service

    @property
    def scale(self) -> float:
        """The seconds of the service in a real one; 0 if its time is moved by hand."""
        return 1.0 / self.clock.real(1.0)

    def restore(self) -> None:
        """Go on with all services in the store; raises `ValueError` if one cannot be read."""
        if self._store is None:
            return
        for account, region in self._store.known():
            try:
                self.service(account, region)
            except KeyError as error:
                path = self._store.path
                raise ValueError(
                    f"the state file {path} is damaged: AWS has no region {error}"
                ) from error

    def make(self, account: str, region: str) -> LockedService:
        """Return the service behind a new backend; moto makes new backends after a reset."""
        key = (account, region)
        if key not in self._services:
            outside = MotoOutside(account, region, self._outbox)
            service = LockedService(
                self.clock,
                self._settings,
                outside,
                self._ticker.add,
                None if self._store is None else ServiceStore(self._store, account, region),
            )
            self._services[key] = service
        return self._services[key]

    def close(self) -> None:
        """Drop every request that is held, and remove this emulation from moto."""
        self.closed = True
        for service in list(self._services.values()):
            service.close()
        self._ticker.close(_CLOSE_TIMEOUT)
        self._outbox.close(_CLOSE_TIMEOUT)
        with backend_lock:
            # What moto's reset goes through; there is no public way to be removed from it.
            known = BackendDict._instances  # type: ignore[misc]  # noqa: SLF001 - as above
            known[:] = [backends for backends in known if backends is not self.backends]


_installed: Final[list[Emulation]] = []
_MOTOS_OWN: Final = (
    models.datapipeline_backends,
    urls.url_paths,
)


@contextmanager
def install(clock: Clock, settings: Settings, store: Store | None = None) -> Iterator[Emulation]:
    """Replace moto's own backend by the emulation for as long as the context lasts.

    Of several at once, moto uses the one installed last. `store` is where its services are saved
    and restored from.
    """
    with _no_missing_profile():
        emulation = Emulation(clock, settings, store)
        _installed.append(emulation)
        _apply()
        try:
            emulation.restore()
            yield emulation
        finally:
            _installed.remove(emulation)
            _apply()
            emulation.close()


@contextmanager
def _no_missing_profile() -> Iterator[None]:
    """Hide a profile which this machine lacks: the sessions which moto makes would fail by it."""
    session = Session(include_builtin_handlers=False)  # which take most of its time
    known = session.profile in {None, *session.available_profiles}
    hidden = {} if known else {name: os.environ.pop(name) for name in _PROFILE & os.environ.keys()}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _apply() -> None:
    backends, paths = _MOTOS_OWN
    if _installed:
        backends = cast("Any", _installed[-1].backends)
        paths = {"{0}/$": EmulatedResponse.dispatch}
    models.datapipeline_backends = backends
    responses.datapipeline_backends = backends  # type: ignore[attr-defined]
    urls.url_paths = paths
    redirect_stacks(on=bool(_installed))


def _new_backend(emulation: Emulation, region_name: str, account_id: str) -> EmulatedBackend:
    service = emulation.make(account_id, region_name)
    return EmulatedBackend(region_name, account_id, service=service)


@cache
def _regions() -> list[str]:
    """Return every region of AWS; the service is in five, but tests may name any."""
    # A session would read the profile, which this machine may lack.
    endpoints = EndpointResolver(create_loader().load_data("endpoints"))
    return list(endpoints.get_available_endpoints("ec2"))


def _as_object(item: dict[str, Any]) -> PipelineObject:
    return PipelineObject(item["id"], item["name"], item["fields"])
