"""A local AWS Data Pipeline: one pure model of the service, and its HTTP form on moto's server.

The model needs only aiodp itself, save for definitions with expressions. These, `EmulatorServer`
and `install` need the extra `aiodp[emulator]`, which is imported at the first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._clock import ManualClock, ServiceClock
from aiodp.emulator._definition.files import load_definition, load_values
from aiodp.emulator._model.audit import Audit, AuditEvent, AuditKind, Ownership
from aiodp.emulator._model.faults import Fault, FaultKind
from aiodp.emulator._model.outside import FakeOutside, Outside, Published
from aiodp.emulator._model.records import TaskState
from aiodp.emulator._model.service import Service
from aiodp.emulator._model.views import TaskView
from aiodp.emulator._settings import (
    PUBLISHED_QUOTAS,
    AttemptTimeoutAnswer,
    CanceledStatusAnswer,
    DeletedAnswer,
    LateIf,
    OnDemandBusy,
    Settings,
)

if TYPE_CHECKING:
    from aiodp.emulator._server.locked import LockedService
    from aiodp.emulator._server.moto import install
    from aiodp.emulator._server.server import EmulatorServer

__all__ = [
    "PUBLISHED_QUOTAS",
    "AttemptTimeoutAnswer",
    "Audit",
    "AuditEvent",
    "AuditKind",
    "CanceledStatusAnswer",
    "DeletedAnswer",
    "EmulatorServer",
    "FakeOutside",
    "Fault",
    "FaultKind",
    "LateIf",
    "LockedService",
    "ManualClock",
    "OnDemandBusy",
    "Outside",
    "Ownership",
    "Published",
    "Service",
    "ServiceClock",
    "Settings",
    "TaskState",
    "TaskView",
    "install",
    "load_definition",
    "load_values",
]

_ON_MOTO: Final = {
    "EmulatorServer": "aiodp.emulator._server.server",
    "LockedService": "aiodp.emulator._server.locked",
    "install": "aiodp.emulator._server.moto",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_MOTO:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(_ON_MOTO[name]), name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("aiodp"):
            raise
        message = f'{name} needs the module {error.name}: pip install "aiodp[emulator]"'
        raise ModuleNotFoundError(message, name=error.name) from error
