"""The names of the library in messages, and what the commands call them."""

from __future__ import annotations

import re
from typing import Final

_WORDS: Final = {
    "attempt_timeout= of the library, --attempt-timeout of aiodp run and hold": "--attempt-timeout",
    "(see region_name=, endpoint_url= and": "(see --region, --endpoint-url and",
    " (see own_thread)": "",
    "region_name": "--region",
    "task_id must be a str": "TASK_ID must be a text",
    "task_id": "TASK_ID",
}
_ARGUMENTS: Final = re.compile(
    r"\b(interval(?= \()|(ack|attempt|lease)_timeout|max_lease|safety_margin)\b"
)
"""Arguments of the reporter whose options have the same names."""


def named_as_options(message: str) -> str:
    """Return a message of the library with options in the place of Python's arguments."""
    for words, option in _WORDS.items():
        message = message.replace(words, option)
    return _ARGUMENTS.sub(lambda match: "--" + match[1].replace("_", "-"), message)
