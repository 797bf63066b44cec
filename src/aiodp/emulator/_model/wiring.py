"""The parts of one service, put together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiodp.emulator._model.catalog import Catalog
from aiodp.emulator._model.leases import Leases
from aiodp.emulator._model.listing.query import Queries
from aiodp.emulator._model.runner_registry import RunnerRegistry
from aiodp.emulator._model.runs.actions import Actions
from aiodp.emulator._model.runs.attempts import Attempts
from aiodp.emulator._model.runs.control import Control
from aiodp.emulator._model.runs.lifecycle import Lifecycle
from aiodp.emulator._model.runs.preconditions import Preconditions
from aiodp.emulator._model.runs.resources import Resources
from aiodp.emulator._model.runs.scheduler import Scheduler
from aiodp.emulator._model.worker_api import WorkerApi

if TYPE_CHECKING:
    from aiodp.emulator._model.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """The records of one service and the rules that change them."""

    context: Context
    catalog: Catalog
    leases: Leases
    control: Control
    queries: Queries
    worker_api: WorkerApi
    runners: RunnerRegistry


def build(context: Context) -> Model:
    """Return a model without any pipelines."""
    catalog = Catalog(context)
    leases = Leases(context)
    catalog.on_forgotten = leases.forget
    queries = Queries(context, catalog)
    return Model(
        context=context,
        catalog=catalog,
        leases=leases,
        control=_build_runs(context, catalog, leases),
        queries=queries,
        worker_api=WorkerApi(context.settings, queries, leases),
        runners=RunnerRegistry(),
    )


def _build_runs(context: Context, catalog: Catalog, leases: Leases) -> Control:
    lifecycle = Lifecycle(context)
    attempts = Attempts(context, leases, lifecycle)
    resources = Resources(context, leases, lifecycle)
    preconditions = Preconditions(context, lifecycle)
    actions = Actions(context, lifecycle)
    scheduler = Scheduler(context, lifecycle, actions)
    control = Control(context, catalog, leases, lifecycle, attempts, resources, scheduler)
    leases.rules = attempts
    lifecycle.attempts = attempts
    lifecycle.resources = resources
    lifecycle.listeners = (resources.changed, preconditions.changed, actions.changed)
    lifecycle.on_idle = control.on_idle
    return control
