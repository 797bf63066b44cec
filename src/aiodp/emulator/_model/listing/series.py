"""Records by id, in an order that stays."""

from __future__ import annotations

from typing import TypeVar

Record = TypeVar("Record")


class Series(dict[str, Record]):
    """Records by id, each of which is set once and never removed: it keeps its place in `ids`."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []

    def __setitem__(self, record_id: str, record: Record) -> None:
        self.ids.append(record_id)
        super().__setitem__(record_id, record)
