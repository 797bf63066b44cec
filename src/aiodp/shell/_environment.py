"""The environment of a command: clean, so that it does not depend on where the worker runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from aiodp._core.text import replace_illegal, shown

_INHERITED: Final = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL"})
_INHERITED_PREFIXES: Final = ("LC_", "AWS_")


def is_valid_for_os(text: str) -> bool:
    """Return whether the system accepts it as an argument, a variable or a path."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:  # half of a surrogate pair
        return False


def check_environment(environment: object) -> dict[str, str]:
    """Return variables that a process can have, or raise `ValueError`."""
    if not isinstance(environment, Mapping):
        raise ValueError(  # noqa: TRY004 - as for every value of the constructor
            f"environment must be a mapping of str to str, not {shown(environment)}"
        )
    for name, value in environment.items():
        if not isinstance(name, str) or not name or "=" in name or not is_valid_for_os(name):
            raise ValueError(f"environment: {shown(name)} cannot be the name of a variable")
        if not isinstance(value, str) or not is_valid_for_os(value):
            raise ValueError(f"environment: {name} must be a str without NUL, not {shown(value)}")
    return dict(environment)


def clean_environment(
    *, pipeline_id: str, attempt_id: str, extra: Mapping[str, str]
) -> dict[str, str]:
    """Return the environment of a command; what comes later in it replaces what comes before.

    It has what the command inherits from this process, the ids of the task, and the extra ones.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.startswith(_INHERITED_PREFIXES)
    }
    ids = {"AIODP_PIPELINE_ID": pipeline_id, "AIODP_ATTEMPT_ID": attempt_id}
    legal_ids = {name: replace_illegal(text) for name, text in ids.items()}
    return {"PATH": os.defpath} | inherited | legal_ids | dict(extra)
