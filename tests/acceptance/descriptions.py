"""What all sessions of botocore have in common is made once in a process, not once a session."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import botocore.loaders
import botocore.session
from botocore.hooks import EventAliaser

SERVICES: Final = ("datapipeline", "s3", "sts")

_new_emitter: Final = EventAliaser.__init__
_event_names: Final[dict[str, str]] = {}


def read_descriptions_once() -> None:
    """Let all sessions share descriptions of services and names of events, as one's clients do."""
    create_loader = cache(botocore.loaders.create_loader)
    botocore.loaders.create_loader = botocore.session.create_loader = create_loader
    EventAliaser.__init__ = _init_emitter


def read_descriptions() -> None:
    """Read what clients of these services need, for all the processes that are forked later."""
    session = botocore.session.Session()
    for service in SERVICES:
        session.create_client(
            service, region_name="us-east-1", aws_access_key_id="id", aws_secret_access_key="key"
        ).close()


def _init_emitter(self: EventAliaser, *arguments: Any, **options: Any) -> None:
    _new_emitter(self, *arguments, **options)
    self._alias_name_cache = _event_names
