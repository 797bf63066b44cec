"""Compression of what comes in chunks."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodp.sql._gzip import _PIECE_BYTES, Compressor, Decompressor


def decompressed(data, chunk):
    decompressor = Decompressor()
    pieces: list[bytes] = []
    for start in range(0, len(data), chunk):
        pieces += decompressor.pieces(data[start : start + chunk])
    decompressor.end()
    return b"".join(pieces)


@given(members=st.lists(st.binary(max_size=50), max_size=3), chunk=st.integers(1, 40))
def test_members_follow_one_another(members, chunk):
    """As `cat` joins files, wherever the chunks end; zeros between them are padding."""
    data = b"\0\0".join(map(gzip.compress, members))
    assert decompressed(data, chunk) == b"".join(members)


@given(chunks=st.lists(st.binary(max_size=50), max_size=4))
def test_what_is_compressed_is_decompressed(chunks):
    """And it is the same bytes each time."""

    def compressed():
        compressor = Compressor()
        return b"".join([*map(compressor.feed, chunks), compressor.end()])

    assert gzip.decompress(compressed()) == b"".join(chunks)
    assert compressed() == compressed()


def test_little_is_in_memory_whatever_a_chunk_stands_for():
    """A few bytes may be millions."""
    size = 5 * _PIECE_BYTES
    pieces = [*Decompressor().pieces(gzip.compress(bytes(size)))]
    assert sum(map(len, pieces)) == size
    assert max(map(len, pieces)) <= _PIECE_BYTES


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"plain", "is not compressed by gzip"),
        (gzip.compress(b"a") + b"rest", "is not compressed by gzip"),
        (gzip.compress(b"a")[:-1], "ends amid its compressed data"),
        (gzip.compress(b"a")[:3], "ends amid its compressed data"),
    ],
    ids=["plain", "more after the end", "the end is missing", "three bytes"],  # it holds the time
)
def test_what_is_not_compressed_is_refused(data, words):
    """Or not to its end."""
    with pytest.raises(ValueError, match=words):
        decompressed(data, 4)
