"""What goes from one data node to another: rows of text."""

from __future__ import annotations

from typing import TypeAlias

Row: TypeAlias = tuple[str | None, ...]
"""The fields of a record; None is SQL's NULL."""
Batch: TypeAlias = list[Row]
"""Rows that follow one another; never empty."""
