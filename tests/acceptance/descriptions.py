"""Botocore's descriptions of the services, each read once in a process, not once a session."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import botocore.session
from botocore.loaders import JSONFileLoader, Loader

SERVICES: Final = ("datapipeline", "s3", "sts")

_read: Final = JSONFileLoader.load_file
_read_once: Final = cache(JSONFileLoader().load_file)


def read_descriptions_once() -> None:
    """Let all sessions share what botocore brings, as the clients of one session do."""
    JSONFileLoader.load_file = _load_file


def read_descriptions() -> None:
    """Read what clients of these services need, for all the processes that are forked later."""
    session = botocore.session.Session()
    for service in SERVICES:
        session.create_client(
            service, region_name="us-east-1", aws_access_key_id="id", aws_secret_access_key="key"
        ).close()


def _load_file(loader: JSONFileLoader, path: str) -> Any:
    # Files in other folders are of the test or of the user, and may change.
    return _read_once(path) if path.startswith(Loader.BUILTIN_DATA_PATH) else _read(loader, path)
