"""Who may do work that has a single owner: rules, notices, collectors, ledger, checkpoint.

Whoever does such work asks here before each round. One process over SQLite owns everything; replicas over one
database share it out by name. The one rule: work of a name runs only while ``held`` says so; the answer comes from
memory, whoever has to keep a lease alive does that on its own.
"""

from __future__ import annotations

from typing import Protocol


class Lease(Protocol):
    """Answers whether this process owns the work called ``name`` at this moment."""

    def held(self, name: str) -> bool: ...


class AlwaysHeld:
    """The lease of the only process there is: the lock on the data folder shuts out any other."""

    def held(self, name: str) -> bool:
        return True
