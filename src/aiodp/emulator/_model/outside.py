"""What the service uses outside of Data Pipeline: S3, DynamoDB and SNS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol


class Outside(Protocol):
    """The rest of AWS, as far as the service itself needs it. No method raises."""

    def s3_key_exists(self, bucket: str, key: str) -> bool:
        """Return whether there is such an object."""

    def s3_prefix_not_empty(self, bucket: str, prefix: str) -> bool:
        """Return whether there is an object whose key starts with the prefix."""

    def dynamodb_table_exists(self, table: str) -> bool:
        """Return whether there is such a table."""

    def dynamodb_data_exists(self, table: str) -> bool:
        """Return whether there is an item in the table."""

    def publish(self, topic_arn: str, subject: str, message: str) -> None:
        """Send a message to a topic of SNS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A message that went to SNS."""

    topic_arn: str
    subject: str
    message: str


@dataclass(slots=True, kw_only=True)
class FakeOutside:
    """S3, DynamoDB and SNS in memory."""

    objects: set[str] = field(default_factory=set)
    """Objects in S3, as `s3://bucket/key`."""
    tables: dict[str, int] = field(default_factory=dict)
    """Tables of DynamoDB, and how many items each has."""
    published: list[Published] = field(default_factory=list)

    def s3_key_exists(self, bucket: str, key: str) -> bool:
        """Return whether there is such an object."""
        return f"s3://{bucket}/{key}" in self.objects

    def s3_prefix_not_empty(self, bucket: str, prefix: str) -> bool:
        """Return whether there is an object whose key starts with the prefix."""
        return any(url.startswith(f"s3://{bucket}/{prefix}") for url in self.objects)

    def dynamodb_table_exists(self, table: str) -> bool:
        """Return whether there is such a table."""
        return table in self.tables

    def dynamodb_data_exists(self, table: str) -> bool:
        """Return whether there is an item in the table."""
        return self.tables.get(table, 0) > 0

    def publish(self, topic_arn: str, subject: str, message: str) -> None:
        """Keep the message."""
        self.published.append(Published(topic_arn=topic_arn, subject=subject, message=message))
