"""The precondition `Exists`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodp.shell._definition import read_node, referred_objects
from aiodp.shell._errors import bad_definition

if TYPE_CHECKING:
    from aiodp._runner.task import Task
    from aiodp.shell._s3 import Store


async def exists(task: Task, store: Store) -> bool:
    """Return whether the guarded `S3DataNode` exists: its file, or any key in its directory.

    Raises `TaskFailed` if it guards something else, and if S3 does not answer.
    """
    nodes = await referred_objects(task, "node")
    if len(nodes) != 1:
        raise bad_definition(f"{task.attempt_id} guards {len(nodes)} objects, not one")
    node = read_node(nodes[0])
    # S3 lists keys in order: the file's own comes before all longer ones.
    first = await store.first_key(node.uri)
    return first is not None and (node.is_directory or first == node.uri.key)
