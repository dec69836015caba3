"""How sources are named on the command line: by id, by name, or as ``host/name`` where several hosts have the name.

Comes in: what a person typed. Goes out: the source as the API tells it. The one rule: a word that fits several
sources is refused with all their names, never guessed.
"""

from __future__ import annotations

from typing import Any

from lastgood.cli.ask import Hub, NoSuch
from lastgood.cli.tables import text

_MOST_NAMED = 10
_SHORTEST_ID = 20


def full_name(source: dict[str, Any]) -> str:
    """``host/name``; the name alone for a source without a host."""
    return f"{source['host']}/{source['name']}" if source.get("host") else str(source["name"])


def find_source(hub: Hub, named: str) -> dict[str, Any]:
    """The source that this word names. Raises NoSuch for none, and for several with their full names."""
    if len(named) >= _SHORTEST_ID and named.isalnum():
        try:
            by_id: dict[str, Any] = hub.get(f"/sources/{named}")
            return by_id
        except NoSuch:
            pass
    wanted, by_name, by_full_name = named.casefold(), [], []
    # Its parts stand in its name or in that of its host: the hub leaves out all that cannot be meant.
    for source in hub.every("/sources", q=named.replace("/", " ")):
        if source["name"].casefold() == wanted:
            by_name.append(source)
        if full_name(source).casefold() == wanted:
            by_full_name.append(source)
    found = by_full_name or by_name
    if not found:
        raise NoSuch(f"There is no source {named!r}; lastgood source list shows them.")
    if len(found) > 1:
        # Two sources without a host may share a name: then only the id tells them apart.
        same = len({full_name(one) for one in found}) < len(found)
        names = sorted(text(one["id"] if same else full_name(one)) for one in found)
        more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
        raise NoSuch(f"Several sources are called {named!r}; say which: {', '.join(names[:_MOST_NAMED])}{more}")
    return found[0]
