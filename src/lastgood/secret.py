"""Text that must not be shown: masked wherever it is printed, formatted or logged, bare only on request.

Settings, credentials of tools and freshly minted tokens travel in it. The one rule: only ``reveal()`` gives
the text, so that a search for that word finds every place where a secret leaves its wrapping.
"""

from __future__ import annotations

import hmac

MASK = "********"
"""What stands on screens and in logs in place of a secret; its length says nothing."""


class Secret:
    """A text whose ``str``, ``repr`` and format are masked; equality takes the same time wherever texts differ."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._text), _bytes(other._text))

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __reduce__(self) -> str:
        raise TypeError("a Secret is not pickled: whoever needs the text elsewhere reveals it")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
