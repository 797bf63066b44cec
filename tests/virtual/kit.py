"""What the tests in virtual time share."""

from __future__ import annotations

import pytest

asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
"""For what only asyncio has: a cancellation that comes once, and one that needs no scope."""
