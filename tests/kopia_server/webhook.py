"""Kopia's notifications: a report or an error rendered with the built-in or an own template, sent once to a URL.

Only 200 counts as delivered, nothing is tried again. An own template is ``{"headers": {...}, "line": "..."}``: the
line is repeated for each snapshot, its ``{fields}`` are form-encoded as ``urlquery`` does.
Outside format: text templates of Kopia 0.23.1.
"""

from __future__ import annotations

import http.client
import ssl
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, urlsplit

from tests.kopia_fake.moments import SECOND, rfc3339
from tests.kopia_fake.plan import Attempt

STATUS = {"success": "success", "warning": "warnings", "fatal": "fatal", "died": "fatal", "skipped": "success"}
SENT_WITHIN = 30.0
MOST_NAMED = 10


@dataclass
class Webhook:
    """What was sent and what came back."""

    sent: list[dict[str, Any]] = field(default_factory=list)

    def send(self, url: str, message: tuple[dict[str, str], str], method: str, headers: dict[str, str]) -> bool:
        """Once; whether it was answered with exactly 200."""
        told: dict[str, Any] = {"url": url, "method": method, "headers": headers | message[0], "body": message[1]}
        try:
            told["status"] = _post(url, method, told["headers"], message[1].encode())
        except (OSError, http.client.HTTPException) as error:
            told["status"], told["error"] = None, str(error)
        told["delivered"] = told["status"] == 200
        self.sent.append(told)
        return bool(told["delivered"])


def _post(url: str, method: str, headers: dict[str, str], body: bytes) -> int:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    more: dict[str, Any] = {}
    if parts.scheme == "https":
        more["context"] = ssl._create_unverified_context()
    connection = kind(parts.netloc, timeout=SENT_WITHIN, **more)
    try:
        connection.request(method, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


@dataclass
class Reported:
    """One snapshot of a report; without a start it died before it began."""

    user: str
    host: str
    path: str
    ended: str
    attempt: Attempt | None
    before: Attempt | None = None
    error: str = ""

    @property
    def status(self) -> str:
        return STATUS.get(self.ended, "incomplete")

    @property
    def start(self) -> int:
        return self.attempt.start if self.attempt else 0

    @property
    def end(self) -> int:
        return self.attempt.end if self.attempt else 0

    @property
    def seconds(self) -> float:
        return round(max(0, self.end - self.start) / SECOND, 1)  # as precise as Kopia tells it


def report(
    told: list[Reported], hostname: str, version: str, now: int, zone: int, template: dict[str, Any] | None
) -> tuple[dict[str, str], str]:
    """Headers and body."""
    told = sorted(told, key=lambda one: f"{one.user}@{one.host}:{one.path}")
    if template is not None:
        return _own(told, template)
    failed = sum(one.status == "fatal" for one in told)
    if len(told) == 1:
        verb = "Failed to create a snapshot" if failed else "Successfully created a snapshot"
        overall = f"{verb} of {told[0].path}"
    elif failed:
        overall = f"Failed to create {failed} of {len(told)} snapshots"
    else:
        overall = f"Successfully created {len(told)} snapshots"
    body = "".join(_paragraph(one, zone) for one in told)
    body += f"Generated at {_mail(now, zone)} by Kopia {version}.\n\nhttps://kopia.io/"
    return {"Subject": f"{overall} on {hostname}"}, body


def _paragraph(one: Reported, zone: int) -> str:
    now, before = one.attempt, one.before

    def delta(name: str, shown: Any) -> str:
        if now is None or before is None or getattr(now, name) == getattr(before, name):
            return ""
        more = getattr(now, name) - getattr(before, name)
        return f" ({'+' if more > 0 else '-'}{shown(abs(more))})"

    lines = [
        f"Path: {one.path}",
        "",
        f"  Status:      {one.status}",
        f"  Start:       {_mail(one.start, zone)}",
        f"  Duration:    {_duration(one.seconds)}",
        f"  Size:        {_bytes(now.size if now else 0)}{delta('size', _bytes)}",
        f"  Files:       {now.files if now else 0}{delta('files', str)}",
        f"  Directories: {now.dirs if now else 0}{delta('dirs', str)}",
    ]
    text = "\n".join(lines) + "\n"
    if one.error:
        text += f"  Error:       {one.error}\n"
    failed = (now.failed + now.ignored) if now else 0
    if failed:
        text += "\n  Failed Entries:\n"
        for number in range(min(failed, MOST_NAMED)):
            text += f"\n  - d{number % 5}/f{number}: permission denied"
    return text + ("\n\n" if now else "\n")


def _own(told: list[Reported], template: dict[str, Any]) -> tuple[dict[str, str], str]:
    lines = []
    for one in told:
        fields = {
            "user": one.user,
            "host": one.host,
            "path": one.path,
            "status": one.status,
            "start": rfc3339(one.start // SECOND * SECOND),  # .StartTimestamp: whole seconds
            "end": rfc3339(one.end // SECOND * SECOND),
            "start_ns": str(one.start),  # .Manifest.StartTime: nanoseconds, as the manifest has them
            "end_ns": str(one.end),
            "duration": _duration(one.seconds),
            "size": str(one.attempt.size if one.attempt else 0),
            "files": str(one.attempt.files if one.attempt else 0),
            "dirs": str(one.attempt.dirs if one.attempt else 0),
            "failed": str(one.attempt.failed if one.attempt else 0),
            "error": one.error,
            "incomplete": one.ended if one.status == "incomplete" else "",
        }
        lines.append(template["line"].format(**{name: quote_plus(value) for name, value in fields.items()}))
    return dict(template.get("headers", {})), template.get("before", "") + "\n".join(lines) + template.get(
        "after", ""
    )


def failure(
    operation: str, details: str, error: str, hostname: str, version: str, began: int, now: int, zone: int
) -> tuple[dict[str, str], str]:
    """A ``generic-error``."""
    body = (
        f"Operation: {details}\nStarted:   {_mail(began, zone)}\n"
        f"Finished:  {_mail(now, zone)} ({_duration((now - began) / SECOND)})\n\n{error}\n\n"
        f"Generated at {_mail(now, zone)} by Kopia {version}.\n\nhttps://kopia.io/"
    )
    return {"Subject": f"Kopia has encountered an error during {operation} on {hostname}"}, body


def _mail(moment: int, zone: int) -> str:
    then = time.gmtime(moment // SECOND + zone * 60)
    return (
        time.strftime("%a, %d %b %Y %H:%M:%S ", then)
        + f"{'-' if zone < 0 else '+'}{abs(zone) // 60:02d}{abs(zone) % 60:02d}"
    )


def _duration(seconds: float) -> str:
    """As Go prints one: 1h2m3.5s."""
    if not seconds:
        return "0s"
    whole, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(whole), 60)
    tail = f"{rest:.3f}".rstrip("0").rstrip(".")
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + f"{tail}s"


def _bytes(much: int) -> str:
    amount, unit = float(much), "B"
    for following in ("KB", "MB", "GB", "TB", "PB"):
        if amount < 900:
            break
        amount, unit = amount / 1000, following
    return f"{amount:.1f}".rstrip("0").rstrip(".") + f" {unit}"
