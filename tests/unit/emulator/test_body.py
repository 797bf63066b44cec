"""The bodies of requests over HTTP: read whole, and never beyond what a request may have."""

from __future__ import annotations

from io import BytesIO

import pytest

from aiodp.emulator._server.body import (
    MAX_CALL_BYTES,
    MAX_LONG_CALL_BYTES,
    MAX_OTHER_BYTES,
    BodyError,
    BodyTooLargeError,
    max_bytes,
    read_body,
    too_large,
)


class Counting(BytesIO):
    """A stream that counts the bytes it was asked for, as a socket's reader would reserve them."""

    asked = 0

    def read(self, size: int | None = -1) -> bytes:
        """Read, and count what was asked for."""
        assert size is not None
        assert size >= 0
        self.asked += size
        return super().read(size)


def chunked(stream: bytes, most: int = 100) -> bytes:
    """Return the body that comes in these chunks."""
    return read_body(BytesIO(stream), None, most).read()


def test_a_body_is_read_up_to_its_length():
    """What follows it is the next request, which stays in the stream."""
    stream = BytesIO(b"onetwo")
    assert read_body(stream, "3", 3).read() == b"one"
    assert stream.read() == b"two"


def test_chunks_are_joined():
    """A chunk may have an extension, which means nothing; sizes are of any case."""
    text = b"a;x=y\r\n" + b"1" * 10 + b"\r\nA\n" + b"2" * 10 + b"\n0\r\n\r\nnext"
    stream = BytesIO(text)
    assert read_body(stream, None, 20).read() == b"1" * 10 + b"2" * 10
    assert stream.read() == b"next"


@pytest.mark.parametrize("length", ["-1", "+1", "1_0", "", "1 ", "\u0661", "9" * 19, "9" * 5000])
def test_an_impossible_length_is_refused(length):
    """A length is a few digits of ASCII."""
    with pytest.raises(BodyError):
        read_body(BytesIO(b"1"), length, 100)


@pytest.mark.parametrize(
    "stream",
    [
        b"no\r\n",
        b"-1\r\n",
        b"+1\r\n1\r\n0\r\n\r\n",
        b"0x1\r\n1\r\n0\r\n\r\n",
        b"f" * 17 + b"\r\n",
        b"1" * 5000,
        b"1;" + b"x" * 5000 + b"\r\n",
        b"1\r\n12\r\n0\r\n\r\n",
        b"0\r\nTrailer: x\r\n\r\n",
        b"",
        b"1\r\n1",
    ],
)
def test_broken_chunks_are_refused(stream):
    """The size of a chunk is up to 16 hexadecimal digits, and its data end where it says."""
    with pytest.raises(BodyError):
        chunked(stream)


@pytest.mark.parametrize(
    ("stream", "length"), [(b"12", "3"), (b"3\r\n12", None)], ids=["length", "chunks"]
)
def test_half_a_body_is_none(stream, length):
    """A client that goes before the end of its request has asked for nothing."""
    with pytest.raises(ConnectionAbortedError):
        read_body(BytesIO(stream), length, 100)


@pytest.mark.parametrize(
    ("stream", "length"),
    [
        (b"1" * 11, "11"),
        (b"", "9" * 18),
        (b"f" * 16 + b"\r\n", None),
        (b"b\r\n" + b"1" * 11, None),
        (b"6\r\n111111\r\n6\r\n111111\r\n0\r\n\r\n", None),
    ],
)
def test_nothing_is_read_beyond_the_limit(stream, length):
    """What is announced counts: a chunk of ffffffffffffffff bytes is never waited for."""
    counting = Counting(stream)
    with pytest.raises(BodyTooLargeError, match="it may have 10 bytes") as refused:
        read_body(counting, length, 10)
    assert counting.asked <= 10
    assert too_large(refused.value).status == 413


def test_a_length_that_is_claimed_reserves_nothing():
    """A client which claims much and sends little gets a small piece of memory at most."""
    counting = Counting(b"1")
    with pytest.raises(ConnectionAbortedError):
        read_body(counting, str(MAX_OTHER_BYTES), MAX_OTHER_BYTES)
    assert counting.asked <= 2 * 64 * 1024


@pytest.mark.parametrize(
    ("target", "most"),
    [
        ("DataPipeline.PutPipelineDefinition", MAX_CALL_BYTES),
        ("DataPipeline_20121129.SetTaskStatus", MAX_LONG_CALL_BYTES),
        ("DataPipeline.EvaluateExpression", MAX_LONG_CALL_BYTES),
        ("DynamoDB_20120810.PutItem", MAX_OTHER_BYTES),
        (None, MAX_OTHER_BYTES),
    ],
)
def test_the_limit_is_that_of_the_call(target, most):
    """Calls to the service are small, except for those with a text of 20,971,520 characters."""
    assert max_bytes({} if target is None else {"HTTP_X_AMZ_TARGET": target}) == most
