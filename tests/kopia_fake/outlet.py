"""Where a command's output goes, and what a fault does to it on the way: stop, crawl, cut, colours, floods.

A fault is ``{"kind": ..., "command": "snapshot list" or "*", "times": N, ...}`` in the scenario:

hang (before output; ``child``: a grandchild hangs too; ``deaf``: SIGTERM is ignored), hang-mid (``after`` bytes),
slow (``rate`` bytes a second), exit1 (``condition`` of messages.py or ``message``), exit1-after-valid-json
(``elements``), truncated (``after`` bytes, ``code``), garbage (``text`` before the output), ansi, stderr-flood
(``bytes``), partial (``every``: each so-manieth manifest is missing), policy (no reasons), killed (signal 9).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .messages import MESSAGES

BLOCK = 1 << 18
FOR_EVER = 3600
PROMPT = "Enter password to open repository: "
KINDS = (
    "hang",
    "hang-mid",
    "slow",
    "exit1",
    "exit1-after-valid-json",
    "truncated",
    "garbage",
    "ansi",
    "stderr-flood",
    "partial",
    "policy",
    "killed",
)


class Ended(Exception):
    """The command is over, with this exit code."""

    def __init__(self, code: int) -> None:
        self.code = code


class Outlet:
    """Standard output and error of one call."""

    def __init__(self, folder: Path, faults: list[dict[str, Any]], prefix: str = "ERROR") -> None:
        self._prefix = prefix
        self._folder = folder
        self._faults = {fault["kind"]: fault for fault in faults}
        self._waiting: list[str] = []
        self._size = self._sent = 0

    def begin(self) -> None:
        """Faults that come before any output."""
        if fault := self.fault("hang"):
            self._hang(fault)
        if fault := self.fault("stderr-flood"):
            self._flood(int(fault.get("bytes", 10_000_000)))
        if fault := self.fault("exit1"):
            self.fail(fault.get("message") or MESSAGES[fault.get("condition", "storage")], int(fault.get("code", 1)))
        if fault := self.fault("garbage"):
            self.write(fault.get("text", PROMPT))
        if self.fault("killed") and "after" not in self._faults["killed"]:
            os.kill(os.getpid(), signal.SIGKILL)

    def fault(self, kind: str) -> dict[str, Any] | None:
        return self._faults.get(kind)

    def write(self, text: str) -> None:
        self._waiting.append(text)
        self._size += len(text)
        if self._size >= BLOCK:
            self.flush()

    def flush(self) -> None:
        data = "".join(self._waiting).encode()
        self._waiting, self._size = [], 0
        for kind in ("hang-mid", "truncated", "killed"):
            fault = self.fault(kind)
            if fault and "after" in fault and self._sent + len(data) >= fault["after"]:
                self._put(data[: max(0, fault["after"] - self._sent)])
                self._stop(kind, fault)
        if fault := self.fault("slow"):
            rate = int(fault.get("rate", 1000))
            step = max(1, rate // 20)
            for start in range(0, len(data), step):
                self._put(data[start : start + step])
                time.sleep(step / rate)
        else:
            self._put(data)

    def elements(self, lines: Iterable[str]) -> None:
        """A list, one element a line."""
        until, every = self.fault("exit1-after-valid-json"), self.fault("partial")
        before = "[\n "
        empty = True
        for number, line in enumerate(lines):
            if until and number >= until.get("elements", 5):
                break
            if every and number % every.get("every", 7) == every.get("every", 7) - 1:
                self.complain(MESSAGES["parse"].format(f"{number:032x}"))
                continue
            self.write(before)
            self.write(line)
            before, empty = ",\n ", False
        self.write("[\n]" if empty else "\n]")
        if until:
            self.flush()
            self.fail(until.get("message", MESSAGES["manifest"]))

    def complain(self, message: str) -> None:
        """An error that does not end the command."""
        colour = ("\x1b[31m", "\x1b[0m") if self.fault("ansi") else ("", "")
        before = f"{colour[0]}{self._prefix}{colour[1]} " if self._prefix or colour[0] else ""
        sys.stderr.write(f"{before}{message}\n")
        sys.stderr.flush()

    def fail(self, message: str, code: int = 1) -> None:
        self.flush()
        self.complain(message)
        raise Ended(code)

    def _put(self, data: bytes) -> None:
        self._sent += len(data)
        while data:
            data = data[os.write(1, data) :]

    def _stop(self, kind: str, fault: dict[str, Any]) -> None:
        if kind == "hang-mid":
            self._hang(fault)
        if kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if fault.get("code", 1):
            self.complain(fault.get("message", MESSAGES["manifest"]))
        raise Ended(int(fault.get("code", 1)))

    def _hang(self, fault: dict[str, Any]) -> None:
        if fault.get("deaf"):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        pids = [os.getpid()]
        if fault.get("child"):
            pids.append(subprocess.Popen(["/bin/sleep", str(FOR_EVER)]).pid)
        with (self._folder / "hanging").open("a") as file:
            file.write("".join(f"{pid}\n" for pid in pids))
        time.sleep(FOR_EVER)

    def _flood(self, much: int) -> None:
        line = b"ERROR unable to read cache entry: checksum mismatch, will be fetched again from storage\n"
        sent = 0
        while sent < much:
            sent += os.write(2, line * 600)
