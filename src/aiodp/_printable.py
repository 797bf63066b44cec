"""What others wrote, as a line of a terminal, a log or a message may show it."""

from __future__ import annotations


def printable(text: str, *, keep: str = "") -> str:
    """Escape what is not printable, but for the characters of `keep`.

    What others wrote may hold line breaks, escape codes of terminals (ESC, U+009B) and characters
    that turn the direction of what follows (U+202E).
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else _escaped(char) for char in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()
