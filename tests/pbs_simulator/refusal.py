"""Errors as PBS words them: the bare text under a JSON content type, nearly always 400.

`slow` errors are held back by the server (3 s for 401, half a second for a static 403), times `auth_delay_scale`.
"""

from __future__ import annotations

JSON_TYPE = "application/json;charset=UTF-8"


class Refusal(Exception):
    """One error answer; endpoints raise it and the connection writes it down."""

    def __init__(self, status: int, text: str, *, delay: float = 0.0, content_type: str | None = JSON_TYPE) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.delay = delay
        self.content_type = content_type


class Mistake(ValueError):
    """The caller of the simulator asked for something it does not know: one sentence, with the mend."""


def unauthenticated() -> Refusal:
    return Refusal(401, "authentication failed", delay=3.0, content_type=None)


def forbidden() -> Refusal:
    """A static privilege is missing; PBS waits before it says so."""
    return Refusal(403, "permission check failed", delay=0.5)


def invisible() -> Refusal:
    """A list whose every entry is hidden from the asker; told at once."""
    return Refusal(403, "permission check failed")


def missing(privileges: str, path: str) -> Refusal:
    return Refusal(403, f"permission check failed - missing {privileges} on {path}")


def no_such_path(path: str) -> Refusal:
    return Refusal(404, f"Path '{path}' not found.")


def bad_parameter(name: str, why: str) -> Refusal:
    return Refusal(400, f"parameter verification failed - '{name}': {why}")


def bad_request(text: str) -> Refusal:
    return Refusal(400, text)
