"""Addresses in S3, however their scheme is written."""

from __future__ import annotations

import pytest

from aiodp.shell._uri import S3Uri, is_s3


@pytest.mark.parametrize("scheme", ["s3", "S3", "s3n", "s3a", "S3N", "S3a"])
def test_the_scheme_may_be_hadoops_and_in_any_case(scheme):
    """It is the same address; bucket and key stay as they are."""
    uri = S3Uri.parse(f"{scheme}://Bucket/Key/s3n://x")
    assert (uri.bucket, uri.key) == ("Bucket", "Key/s3n://x")
    assert str(uri) == "s3://Bucket/Key/s3n://x"


@pytest.mark.parametrize("text", ["s3:/b/k", "s3x://b/k", "s3://", "s3:///k", " s3://b/k", "b/k"])
def test_anything_else_is_no_address(text):
    """The message shows what was given."""
    assert is_s3(text) == text.startswith("s3://")
    with pytest.raises(ValueError, match="not of the form s3://BUCKET/KEY"):
        S3Uri.parse(text)
