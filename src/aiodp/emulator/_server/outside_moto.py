"""What the service uses outside of Data Pipeline: moto's own S3, DynamoDB and SNS.

It is called while the service's lock is held, and moto holds its own lock when it resets the
service. So nothing here may wait for moto's lock: moto's dictionaries of backends are read with
`get`, which makes no backend and needs no lock.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from moto.backends import get_backend
from moto.utilities.arns import parse_arn

from aiodp._log import logger_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._server.outbox import Outbox

logger = logger_of("aiodp.emulator")

_MAX_SUBJECT: Final = 100  # characters, of SNS


def _check(condition: Callable[[], bool]) -> bool:
    """Return whether a condition holds in moto, which other threads may change meanwhile.

    If the check fails by such a change, the answer is no; the service checks again later.
    """
    try:
        return condition()
    except Exception:
        logger.warning("moto could not be asked", exc_info=True)
        return False


class MotoOutside:
    """The `Outside` of one account in one region."""

    def __init__(self, account: str, region: str, outbox: Outbox) -> None:
        self._account = account
        self._region = region
        self._outbox = outbox

    def s3_key_exists(self, bucket: str, key: str) -> bool:
        """Return whether there is such an object, which is no delete marker."""
        return _check(lambda: _has_key(_bucket(bucket), key))

    def s3_prefix_not_empty(self, bucket: str, prefix: str) -> bool:
        """Return whether there is an object whose key starts so."""
        return _check(lambda: _has_prefix(_bucket(bucket), prefix))

    def dynamodb_table_exists(self, table: str) -> bool:
        """Return whether there is such a table."""
        return _check(lambda: self._table(table) is not None)

    def dynamodb_data_exists(self, table: str) -> bool:
        """Return whether there is an item in the table."""
        return _check(lambda: _has_items(self._table(table)))

    def publish(self, topic_arn: str, subject: str, message: str) -> None:
        """Send a message to a topic soon; if there is no such topic, the log has a warning."""
        self._outbox.put(lambda: _publish(topic_arn, subject[:_MAX_SUBJECT], message))

    def _table(self, name: str) -> Any:
        backends: Any = get_backend("dynamodb")
        backend = (backends.get(self._account) or {}).get(self._region)
        return None if backend is None else backend.tables.get(name)


def _bucket(name: str) -> Any:
    """Return a bucket; its name is unique in all accounts and regions."""
    backends: Any = get_backend("s3")
    partition, account = backends.bucket_accounts.get(name, ("", ""))
    backend = (backends.get(account) or {}).get(partition)
    return None if backend is None else backend.buckets.get(name)


def _has_key(bucket: Any, key: str) -> bool:
    return bucket is not None and _is_there(bucket, key)


def _has_prefix(bucket: Any, prefix: str) -> bool:
    keys = [] if bucket is None else list(bucket.keys)  # a copy: clients may write meanwhile
    return any(key.startswith(prefix) and _is_there(bucket, key) for key in keys)


def _has_items(table: Any) -> bool:
    # With a sort key, the items of a hash key may all have been deleted.
    by_hash_key = [] if table is None else list(table.items.values())
    return any(not table.has_range_key or items for items in by_hash_key)


def _is_there(bucket: Any, key: str) -> bool:
    newest = bucket.keys.get(key)
    return newest is not None and hasattr(type(newest), "etag")  # a delete marker has none


def _publish(topic_arn: str, subject: str, message: str) -> None:
    arn = parse_arn(topic_arn)
    backend = get_backend("sns")[arn.account][arn.region]
    backend.publish(message, arn=topic_arn, subject=subject or None)
