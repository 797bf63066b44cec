"""The state file, in which the services of all accounts and regions outlive their process."""

from aiodp.emulator._store.file import Store
from aiodp.emulator._store.service import ServiceStore

__all__ = ["ServiceStore", "Store"]
