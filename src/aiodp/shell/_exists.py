"""The precondition `Exists`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodp.shell._definition import read_node, referred
from aiodp.shell._errors import bad_definition

if TYPE_CHECKING:
    from aiodp._runner.task import Task
    from aiodp.shell._s3 import Store


async def exists(task: Task, store: Store) -> bool:
    """Return whether the guarded `S3DataNode` is there: its file, or any key in its directory.

    Raises `TaskFailed` if it guards something else, and if S3 does not answer.
    """
    nodes = await referred(task, "node")
    if len(nodes) != 1:
        raise bad_definition(f"{task.attempt_id} guards {len(nodes)} objects, not one")
    node = read_node(nodes[0])
    first = await store.first(node.uri)  # keys come in order, a file's own before all longer ones
    return first is not None and (node.is_directory or first == node.uri.key)
