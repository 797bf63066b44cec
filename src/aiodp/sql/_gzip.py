"""Data that is compressed and decompressed as it comes, of which little is in memory."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_GZIP: Final = 16 + zlib.MAX_WBITS
_PIECE_BYTES: Final = 256 * 1024
"""The most that is decompressed at once, whatever a byte of the compressed data stands for."""


class Compressor:
    """Compresses what is fed to it; the same data gives the same bytes, for no time is in them."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(wbits=_GZIP)

    def feed(self, data: bytes) -> bytes:
        """Return what is ready."""
        return self._compressor.compress(data)

    def end(self) -> bytes:
        """Return the rest."""
        return self._compressor.flush()


class Decompressor:
    """Decompresses what is fed to it: one member of gzip, or several one after the other."""

    def __init__(self) -> None:
        self._member: Any = None

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """Yield what is ready; raise `ValueError` for what is not compressed by gzip."""
        while data:
            if self._member is None:
                data = data.lstrip(b"\0")  # padding, as gzip has it
                self._member = zlib.decompressobj(_GZIP) if data else None
                continue
            try:
                piece = self._member.decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise ValueError(f"is not compressed by gzip: {error}") from error
            data = self._member.unconsumed_tail
            if self._member.eof:
                data, self._member = self._member.unused_data, None
            if piece:
                yield piece

    def end(self) -> None:
        """Raise `ValueError` if the data ended too early."""
        if self._member is not None:
            raise ValueError("ends amid its compressed data")
