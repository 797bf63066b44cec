"""The environment of a command: clean, so that it runs the same wherever the worker does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from aiodp._core.text import replace_illegal, shown

_KEPT: Final = frozenset({"PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL"})
_KEPT_PREFIXES: Final = ("LC_", "AWS_")


def can_be_handed_on(text: str) -> bool:
    """Return whether the system takes it as an argument, a variable or a path."""
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
        if not isinstance(name, str) or not name or "=" in name or not can_be_handed_on(name):
            raise ValueError(f"environment: {shown(name)} cannot be the name of a variable")
        if not isinstance(value, str) or not can_be_handed_on(value):
            raise ValueError(f"environment: {name} must be a str without NUL, not {shown(value)}")
    return dict(environment)


def clean_environment(
    *, pipeline_id: str, attempt_id: str, more: Mapping[str, str]
) -> dict[str, str]:
    """Return what a command gets of ours, the task's ids, and more, which go before."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _KEPT or name.startswith(_KEPT_PREFIXES)
    }
    ids = {"AIODP_PIPELINE_ID": pipeline_id, "AIODP_ATTEMPT_ID": attempt_id}
    fit = {name: replace_illegal(text) for name, text in ids.items()}
    return {"PATH": os.defpath} | kept | fit | dict(more)
