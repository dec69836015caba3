"""Every error lastgood raises, drawn as one tree.

The class says what the caller should do next; the message is one sentence for a person: what is wrong,
where, and how to mend it. Catch at five places only: a collector's round, an agent's session, a request,
one rule of a tick, one delivery.

    LastgoodError
    ├── ConfigError          stop: the operator must change something (exit code 78)
    ├── CollectError         one probe or run of a backup tool failed; ``retry`` says whether again is worth it
    │   ├── Unreachable      no answer, or not in time
    │   ├── Refused          answered, and said no (credentials, permission, lock)
    │   └── BadPayload       answered, and we cannot read it
    ├── WireError            the other side of an agent connection broke the protocol
    ├── DeliveryError        a notice was not taken; ``permanent`` says that it never will be
    ├── AccessError          a person or token may not do this
    └── StoreError           the database did not take or give something; ``retry`` as above
        └── NoRoom           its disk takes nothing at present: full, read-only, or failing
"""

from __future__ import annotations

from datetime import timedelta


class LastgoodError(Exception):
    """An error whose text is meant for a person."""


class ConfigError(LastgoodError):
    """Configuration or surroundings that only an operator can mend."""


class CollectError(LastgoodError):
    """A backup tool or server could not be asked; ``cause`` is the tool's word for why, where it has one."""

    def __init__(self, message: str, *, retry: bool = True, cause: str | None = None) -> None:
        super().__init__(message)
        self.retry = retry
        self.cause = cause


class Unreachable(CollectError):
    """No answer, or none in time."""


class Refused(CollectError):
    """An answer that says no."""


class BadPayload(CollectError):
    """An answer that cannot be read."""


class WireError(LastgoodError):
    """A frame or handshake that breaks the protocol; ``code`` is the WebSocket close code to send."""

    def __init__(self, message: str, *, code: int = 4400) -> None:
        super().__init__(message)
        self.code = code


class DeliveryError(LastgoodError):
    """A notice that its receiver did not take; ``retry_after`` is what it asked for, ``status`` what it answered."""

    def __init__(
        self,
        message: str,
        *,
        permanent: bool = False,
        retry_after: timedelta | None = None,
        status: str | None = None,
    ) -> None:
        super().__init__(message)
        self.permanent = permanent
        self.retry_after = retry_after
        self.status = status


class AccessError(LastgoodError):
    """Not allowed, or not signed in; ``status`` is the HTTP status that says which."""

    def __init__(self, message: str, *, status: int = 403) -> None:
        super().__init__(message)
        self.status = status


class StoreError(LastgoodError):
    """The database refused; nothing of the failed write was kept."""

    def __init__(self, message: str, *, retry: bool = True) -> None:
        super().__init__(message)
        self.retry = retry


class NoRoom(StoreError):
    """The disk under the database takes nothing; it is worth trying again once somebody has seen to it."""
