"""Addresses in S3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from aiodp._core.text import S3_SCHEME


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Uri:
    """A bucket, and a key or a prefix of keys, which may be empty."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `s3://bucket/key`; raise `ValueError` for anything else."""
        bucket, _, key = S3_SCHEME.sub("", text, count=1).partition("/")
        if not is_s3(text) or not bucket:
            raise ValueError(f"{text!r:.300} is not of the form s3://BUCKET/KEY")
        return cls(bucket=bucket, key=key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    @property
    def name(self) -> str:
        """The part of the key after its last slash."""
        return self.key.rpartition("/")[2]

    @property
    def directory(self) -> Self:
        """The same address with a slash at its end, unless it is the whole bucket."""
        slash = "/" if self.key and not self.key.endswith("/") else ""
        return type(self)(bucket=self.bucket, key=self.key + slash)

    def below(self, *parts: str) -> Self:
        """Return the address of these parts below the directory that this one names."""
        return type(self)(bucket=self.bucket, key=self.directory.key + "/".join(parts))


def is_s3(text: str) -> bool:
    """Return whether it is meant to be an address in S3."""
    return S3_SCHEME.match(text) is not None
