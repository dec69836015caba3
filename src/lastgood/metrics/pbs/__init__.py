"""The ``pbs_*`` vocabulary: Proxmox Backup Servers, drop-in for the exporter whose names it keeps, and beyond it."""

from __future__ import annotations

from lastgood.metrics.pbs import collection, groups, server, stores, tape, tasks
from lastgood.metrics.pbs.view import gather
from lastgood.metrics.vocabulary import Collected, Vocabulary

VOCABULARY = Vocabulary(
    name="pbs",
    purpose="Proxmox Backup Servers: the published exporter's names with the meaning that its reference promises, "
    "and what it does not tell. `namespace` stands there only where it is not the root, `server` only for a server "
    "that has a name; a hub that asks no PBS has none of these. All rows stand in shard 0.",
    collected=Collected(
        families=(
            *server.FAMILIES,
            *stores.FAMILIES,
            *groups.FAMILIES,
            *tasks.FAMILIES,
            *tape.FAMILIES,
            *collection.FAMILIES,
        ),
        gather=gather,
    ),
)
