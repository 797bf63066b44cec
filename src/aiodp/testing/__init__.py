"""The test kit: a Data Pipeline in process, and virtual time to run it in."""

from aiodp.emulator._audit import Audit, AuditEvent, AuditKind, Ownership
from aiodp.emulator._faults import Fault, FaultKind
from aiodp.emulator._records import Status, TaskState
from aiodp.emulator._settings import Settings
from aiodp.emulator._views import TaskView
from aiodp.testing._clock import VirtualTimeLoop
from aiodp.testing._memory import MemoryService
from aiodp.testing._scale import ScaledOptions, scaled

__all__ = [
    "Audit",
    "AuditEvent",
    "AuditKind",
    "Fault",
    "FaultKind",
    "MemoryService",
    "Ownership",
    "ScaledOptions",
    "Settings",
    "Status",
    "TaskState",
    "TaskView",
    "VirtualTimeLoop",
    "scaled",
]
