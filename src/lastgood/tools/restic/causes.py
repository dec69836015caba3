"""Why a restic command failed, and what to do about it.

Exit code and standard error come in; a cause and one sentence go out. Exit codes speak first, JSON second, text
last, since text is not stable. "Is there a repository at the following location?" follows a missing and an
unreachable repository alike and decides nothing: a repository is missing only on restic's exit code 10 or on a
clean "does not exist" of its config file. Outside format: exit codes and messages of restic 0.14.0 to 0.19.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from lastgood.tools.restic import shapes
from lastgood.tools.restic.lines import without_escapes

MESSAGE_CHARACTERS = 300


class Cause(StrEnum):
    """What stood in the way."""

    OK = "ok"
    NO_REPOSITORY = "no_repository"
    LOCKED = "locked"
    WRONG_PASSWORD = "wrong_password"  # noqa: S105 - a cause, no password
    PASSWORD_SOURCE = "password_source"  # noqa: S105
    UNREACHABLE = "unreachable"
    STORE_CREDENTIALS = "store_credentials"
    PERMISSION_DENIED = "permission_denied"
    NO_SPACE = "no_space"
    TIMEOUT = "timeout"
    CANCELLED = "cancelled"
    UNREADABLE_SOURCE = "unreadable_source"
    MISSING_SOURCE = "missing_source"
    DAMAGED = "damaged"
    NOT_REMOVED = "not_removed"
    NOTHING_LEFT = "nothing_left"
    NOTHING_RESTORED = "nothing_restored"
    CRASHED = "crashed"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """A cause, the first line of restic's own message, and one sentence: what, where, how to mend it."""

    cause: Cause
    message: str
    sentence: str


_BY_EXIT_CODE = {
    3: Cause.UNREADABLE_SOURCE,
    10: Cause.NO_REPOSITORY,
    11: Cause.LOCKED,
    12: Cause.WRONG_PASSWORD,
}

# In this order: a refusal by the store quotes the request, and a broken password source says "does not exist".
_BY_TEXT: tuple[tuple[Cause, re.Pattern[str]], ...] = tuple(
    (cause, re.compile(pattern, re.IGNORECASE | re.MULTILINE))
    for cause, pattern in (
        (Cause.PASSWORD_SOURCE, r"resolving password failed|an empty password is not a(?:llowed| password)"),
        (Cause.WRONG_PASSWORD, r"wrong password or no key found"),
        (Cause.LOCKED, r"repository is already locked"),
        (Cause.DAMAGED, r"repository contains errors"),
        (Cause.MISSING_SOURCE, r"all (?:target|source) directories/files do not exist|nothing to backup"),
        (
            Cause.STORE_CREDENTIALS,
            r"\((?:401|403)\)|\b40[13] (?:unauthorized|forbidden)|access ?denied"
            r"|permission denied \((?:publickey|password)|invalidaccesskeyid|signaturedoesnotmatch"
            r"|authenticationfailed|host key verification failed"
            r"|unable to authenticate|expiredtoken|invalid_grant",
        ),
        (
            Cause.UNREACHABLE,
            r"connection (?:refused|reset|timed out|closed)|no such host|i/o timeout|no route to host"
            r"|network is unreachable|could not resolve hostname|server misbehaving|name resolution"
            r"|handshake timeout|deadline exceeded|x509: |broken pipe|host is down"
            r"|transport endpoint is not connected|stale (?:nfs )?file handle|client\.head: head \"|\bhead \"?https?://",
        ),
        (Cause.NO_SPACE, r"no space left on device|disk quota exceeded"),
        (Cause.PERMISSION_DENIED, r"permission denied|operation not permitted|read-only file system"),
        (
            Cause.NO_REPOSITORY,
            r"unable to open config file: (?:l?stat:? )?(?:\S.*/config: no such file or directory$"
            r"|<config/> does not exist$|file does not exist$|(?:stat: )?the specified key does not exist)",
        ),
    )
)
_DISTURBANCES = (Cause.UNREACHABLE, Cause.STORE_CREDENTIALS, Cause.PERMISSION_DENIED, Cause.NO_SPACE)
_CRASH = re.compile(r"^(?:panic: |fatal error: |runtime: |goroutine \d+ \[|SIG(?:SEGV|ABRT|BUS): )", re.MULTILINE)
_INTERRUPTED = re.compile(r"signal (?:interrupt|terminated) received", re.IGNORECASE)
_EMPTY_PHRASES = re.compile(r"^(?:is there a repository at the following location\?|warning: )", re.IGNORECASE)
_FATAL = re.compile(r"^(?:fatal:\s*)+", re.IGNORECASE)

_SENTENCES = {
    Cause.NO_REPOSITORY: "There is no restic repository at {where}; check the address and that its disk is mounted,"
    " or initialise it",
    Cause.LOCKED: "The repository at {where} is locked by another restic; wait for it to end, or remove the lock"
    " with restic unlock if its process is gone",
    Cause.WRONG_PASSWORD: "The password does not open the repository at {where}; correct the stored password",
    Cause.PASSWORD_SOURCE: "The password for {where} cannot be had; check the password file or password command",
    Cause.UNREACHABLE: "The repository at {where} cannot be reached; check the network, the server and the address",
    Cause.STORE_CREDENTIALS: "The store of {where} refuses our credentials; correct its user name, password or key",
    Cause.PERMISSION_DENIED: "Access to {where} is denied; let the user that runs restic read and write it",
    Cause.NO_SPACE: "No space is left for {where} or for restic's cache; free some and run again",
    Cause.TIMEOUT: "restic did not finish in time on {where}; check that the store answers, or allow more time",
    Cause.CANCELLED: "The run on {where} was cancelled",
    Cause.UNREADABLE_SOURCE: "Some files could not be read for {where}; look at the listed items",
    Cause.MISSING_SOURCE: "Nothing that was asked for exists on this host, so nothing was saved to {where};"
    " check the paths and their mounts",
    Cause.DAMAGED: "The check found damage in {where}; look at the log, repair it with restic repair,"
    " and check again",
    Cause.NOT_REMOVED: "Snapshots that were to be forgotten are still in {where}; the store may be append-only:"
    " give credentials that may delete",
    Cause.NOTHING_LEFT: "The retention would leave this source without a snapshot in {where}, so nothing was"
    " forgotten; keep more",
    Cause.NOTHING_RESTORED: "Nothing in the snapshot at {where} matches, so nothing was restored; look at the paths",
    Cause.CRASHED: "restic broke off while working on {where}; look for a lack of memory in the system log",
    Cause.OTHER: "restic failed on {where}; look at its message and at the log of the run",
}


def diagnose(
    exit_code: int, stderr: str, where: str, *, cancelled: bool = False, deadline_hit: bool = False
) -> Diagnosis:
    """Why a command that ended with ``exit_code`` failed; ``where`` and ``stderr`` must hold no secret."""
    ending, text = _read(stderr)
    message = _first_line(ending, text)
    cause = _cause(exit_code, ending, text, cancelled=cancelled, deadline_hit=deadline_hit)
    if cause is Cause.OK:
        return Diagnosis(cause=cause, message=message, sentence="")
    return Diagnosis(cause=cause, message=message, sentence=sentence(cause, where, message))


def disturbance(text: str) -> Cause | None:
    """What kept restic from reading the store, by its own words; what it says of damage then proves nothing."""
    found = _by_text(text)
    if found is Cause.DAMAGED:
        found = next((cause for cause, pattern in _BY_TEXT if cause in _DISTURBANCES and pattern.search(text)), None)
    return found if found in _DISTURBANCES else None


def sentence(cause: Cause, where: str, message: str = "") -> str:
    """One sentence for a person, restic's own words in brackets."""
    told = f" (restic: {message})" if message else ""
    return f"{_SENTENCES[cause].format(where=where)}{told}."


def _cause(
    exit_code: int, ending: shapes.ExitError | None, text: str, *, cancelled: bool, deadline_hit: bool
) -> Cause:
    if cancelled:
        return Cause.CANCELLED
    whole = text if ending is None else f"{text}\n{ending.message}"
    if deadline_hit:
        found = _by_text(whole)
        return found if found in (Cause.UNREACHABLE, Cause.STORE_CREDENTIALS) else Cause.TIMEOUT
    if exit_code == 0:
        return Cause.OK
    known = _BY_EXIT_CODE.get(exit_code)
    if known is not None:
        return known
    # Not our signal: somebody else's, or the kernel's when memory ran out.
    if exit_code >= 128 or _CRASH.search(whole) or _INTERRUPTED.search(whole):
        return Cause.CRASHED
    # A retry notice may tell of trouble that has passed, so the final message is asked before the rest.
    final = ending.message if ending is not None else _final(text)
    return _by_text(final) or _by_text(whole) or Cause.OTHER


def _by_text(text: str) -> Cause | None:
    return next((cause for cause, pattern in _BY_TEXT if pattern.search(text)), None)


def _read(stderr: str) -> tuple[shapes.ExitError | None, str]:
    """The JSON ending, if there is one, and the lines that are no JSON."""
    ending: shapes.ExitError | None = None
    lines: list[str] = []
    for line in without_escapes(stderr).split("\n"):
        if line.startswith("{"):
            try:
                envelope = msgspec.json.decode(line, type=shapes.Envelope)
                if envelope.message_type == "exit_error":
                    ending = msgspec.json.decode(line, type=shapes.ExitError)
                continue
            except msgspec.DecodeError:
                pass
        if line.strip():
            lines.append(line.strip())
    return ending, "\n".join(lines)


def _final(text: str) -> str:
    """From the last line that restic calls fatal to the end; the whole text if there is none."""
    lines = text.split("\n")
    for at in range(len(lines) - 1, -1, -1):
        if "fatal:" in lines[at].lower():
            return "\n".join(lines[at:])
    return text


def _first_line(ending: shapes.ExitError | None, text: str) -> str:
    """The first line of restic's message, without its "Fatal:"; stack traces and follow-up lines are cut."""
    candidates = (ending.message if ending is not None else _final(text)).strip().split("\n")
    telling = (line.strip() for line in candidates if line.strip() and not _EMPTY_PHRASES.match(line.strip()))
    first = _FATAL.sub("", next(telling, ""))
    return first if len(first) <= MESSAGE_CHARACTERS else f"{first[:MESSAGE_CHARACTERS]}…"
