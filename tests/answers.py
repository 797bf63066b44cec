"""Answers of AWS that come over no connection: what a `before-send` hook may return."""

from __future__ import annotations

from botocore.awsrequest import AWSResponse


class Answer(AWSResponse):  # type: ignore[misc]
    """The answer to a request."""

    def __init__(self, url: str, status: int, text: str = "") -> None:
        super().__init__(url, status, {}, None)
        self._text = text

    @property
    async def content(self) -> bytes:
        """The body."""
        return self._text.encode()
