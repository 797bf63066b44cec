"""Identifiers in the service's formats, reproducible from a seed."""

from __future__ import annotations

import base64
import random
import string
from typing import Final

_ALPHABET: Final = string.ascii_uppercase + string.digits
_TASK_BYTES: Final = 210  # 280 characters: opaque and long, though AWS's have about a thousand


def instance_id(component_id: str, stamp: str) -> str:
    """Return the id of a component's instance in the slot which starts then.

    Slots of several schedules may start at the same time: one instance serves them all.
    """
    return f"@{component_id}_{stamp}"


class Ids:
    """A source of fresh identifiers.

    `life` counts how often the service was restored from a store, after which ids differ.
    """

    def __init__(self, seed: int, life: int = 0) -> None:
        start = f"{seed}:{life}" if life else seed
        self._random = random.Random(start)  # noqa: S311 - nothing is secret here

    def pipeline(self) -> str:
        """Return `df-` and 20 upper-case letters and digits."""
        return "df-" + "".join(self._random.choices(_ALPHABET, k=20))

    def task(self) -> str:
        """Return an opaque id: two parts in base64 and a number, as in PollForTask's sample."""
        long = base64.b64encode(self._random.randbytes(_TASK_BYTES)).decode()
        short = base64.b64encode(self._random.randbytes(12)).decode()
        return f"{long}:{short}:1"

    def hexadecimal(self, digits: int) -> str:
        """Return that many lower-case hexadecimal digits."""
        return f"{self._random.getrandbits(4 * digits):0{digits}x}"

    def request(self) -> str:
        """Return a UUID."""
        text = f"{self._random.getrandbits(128):032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
