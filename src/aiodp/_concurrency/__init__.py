"""What anyio does not give. Asyncio itself is named in this folder alone."""

from aiodp._concurrency.closable import Closable
from aiodp._concurrency.groups import bare_group, first_of, for_each, run_shielded_task
from aiodp._concurrency.interruptible import Interrupt, interruptible
from aiodp._concurrency.loop import (
    cancellation_requested,
    clock,
    follows_system_time,
    is_default_handler,
    may_replace_handler,
    new_loop_runner,
    on_asyncio,
    running_loop,
    system_time,
    threadsafe_call,
    timers,
)

__all__ = [
    "Closable",
    "Interrupt",
    "bare_group",
    "cancellation_requested",
    "clock",
    "first_of",
    "follows_system_time",
    "for_each",
    "interruptible",
    "is_default_handler",
    "may_replace_handler",
    "new_loop_runner",
    "on_asyncio",
    "run_shielded_task",
    "running_loop",
    "system_time",
    "threadsafe_call",
    "timers",
]
