"""What the service looks at outside of Data Pipeline, in moto's own S3, DynamoDB and SNS.

It is asked while the service's lock is held, and moto holds its own lock when it resets the
service. So nothing here may wait for moto's lock: what is looked up in moto's dictionaries of
backends is looked up with ``get``, which makes no backend and needs no lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.backends import get_backend
from moto.utilities.arns import parse_arn

if TYPE_CHECKING:
    from aiodp.emulator._outbox import Outbox


class MotoOutside:
    """The ``Outside`` of one account in one region."""

    def __init__(self, account: str, region: str, outbox: Outbox) -> None:
        self._account = account
        self._region = region
        self._outbox = outbox

    def s3_key_exists(self, bucket: str, key: str) -> bool:
        """Return whether there is such an object, which is no delete marker."""
        found = _bucket(bucket)
        return found is not None and _is_there(found, key)

    def s3_prefix_not_empty(self, bucket: str, prefix: str) -> bool:
        """Return whether there is an object whose key starts so."""
        found = _bucket(bucket)
        if found is None:
            return False
        keys = list(found.keys)  # a copy: clients may write meanwhile
        return any(key.startswith(prefix) and _is_there(found, key) for key in keys)

    def dynamodb_table_exists(self, table: str) -> bool:
        """Return whether there is such a table."""
        return self._table(table) is not None

    def dynamodb_data_exists(self, table: str) -> bool:
        """Return whether there is an item in the table."""
        found = self._table(table)
        if found is None:
            return False
        by_hash_key = list(found.items.values())  # with a sort key, each may have become empty
        return any(not found.has_range_key or items for items in by_hash_key)

    def publish(self, topic_arn: str, subject: str, message: str) -> None:
        """Send a message to a topic, soon; if there is none, the log has a warning."""
        self._outbox.put(lambda: _publish(topic_arn, subject, message))

    def _table(self, name: str) -> Any:
        backends: Any = get_backend("dynamodb")
        backend = (backends.get(self._account) or {}).get(self._region)
        return None if backend is None else backend.tables.get(name)


def _bucket(name: str) -> Any:
    """Return a bucket, whose name is one for all accounts and regions."""
    backends: Any = get_backend("s3")
    partition, account = backends.bucket_accounts.get(name, ("", ""))
    backend = (backends.get(account) or {}).get(partition)
    return None if backend is None else backend.buckets.get(name)


def _is_there(bucket: Any, key: str) -> bool:
    newest = bucket.keys.get(key)
    return newest is not None and hasattr(type(newest), "etag")  # which a delete marker has not


def _publish(topic_arn: str, subject: str, message: str) -> None:
    arn = parse_arn(topic_arn)
    backend = get_backend("sns")[arn.account][arn.region]
    backend.publish(message, arn=topic_arn, subject=subject or None)
