"""The test kit: a Data Pipeline for each test, over HTTP or in process, and virtual time.

Pytest finds its fixtures by itself (`pytest --fixtures` lists them, under `pytest_aiodp`).
"""

from aiodp._reporter.options import ScaledOptions, scaled
from aiodp.emulator._model.audit import Audit, AuditEvent, AuditKind, Ownership
from aiodp.emulator._model.faults import Fault, FaultKind
from aiodp.emulator._model.outside import FakeOutside, Published
from aiodp.emulator._model.records import Status, TaskState
from aiodp.emulator._model.views import TaskView
from aiodp.emulator._settings import Settings
from aiodp.testing._clock import VirtualTimeLoop
from aiodp.testing._isolation import OtherServiceError
from aiodp.testing._kit import Kit
from aiodp.testing._local_pipeline import LocalPipeline
from aiodp.testing._memory import MemoryService
from aiodp.testing._memory_kit import MemoryKit
from aiodp.testing._pipelines import Run
from aiodp.testing._server_kit import ServerKit
from aiodp.testing._virtual import VIRTUAL_TIME, virtual_time

__all__ = [
    "VIRTUAL_TIME",
    "Audit",
    "AuditEvent",
    "AuditKind",
    "FakeOutside",
    "Fault",
    "FaultKind",
    "Kit",
    "LocalPipeline",
    "MemoryKit",
    "MemoryService",
    "OtherServiceError",
    "Ownership",
    "Published",
    "Run",
    "ScaledOptions",
    "ServerKit",
    "Settings",
    "Status",
    "TaskState",
    "TaskView",
    "VirtualTimeLoop",
    "scaled",
    "virtual_time",
]
