"""The rows of the dashboard on Proxmox Backup Servers, worst first from top to bottom."""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models
from scripts.dashboards.parts import Row, board, datasource_variable, label_variable
from scripts.dashboards.pbs import collection, groups, stores, work
from scripts.dashboards.pbs.named import SERVER, STORE


def dashboard() -> models.Dashboard:
    return board(
        "lastgood-pbs",
        "Proxmox Backup Server",
        "Backup groups, datastores, jobs, tasks and tape of Proxmox Backup Servers, from the pbs_* metrics.",
        [
            datasource_variable(),
            label_variable("server", "Server", "pbs_up"),
            label_variable("datastore", "Datastore", f"pbs_datastore_info{{{SERVER}}}"),
            label_variable("namespace", "Namespace", f"pbs_group_info{{{STORE}}}"),
            label_variable("backup_type", "Type", f"pbs_group_info{{{STORE}}}"),
        ],
        [
            Row(4, [(7, collection.counts()), (17, groups.by_standing())]),
            Row(10, [(15, groups.not_good()), (9, groups.furthest_past())]),
            Row(10, [(24, groups.oldest_first())]),
            Row(7, [(24, groups.oldest_over_time())]),
            Row(
                8,
                [(5, groups.verification()), (9, groups.longest_unverified()), (10, groups.damaged())],
                "Verification",
            ),
            Row(8, [(24, stores.datastores())], "Datastores"),
            Row(8, [(8, stores.used()), (16, stores.collections())]),
            Row(9, [(24, work.jobs())], "Jobs and tasks"),
            Row(8, [(8, work.ended()), (8, work.unwell()), (8, work.running())]),
            Row(8, [(24, work.last_unwell())]),
            Row(6, [(12, work.drives()), (12, work.media())], "Tape"),
            Row(7, [(24, collection.servers())], "Servers and how they are asked"),
            Row(8, [(14, collection.probes()), (10, collection.missing())]),
            Row(7, [(12, collection.traffic()), (12, collection.errors())]),
            Row(7, [(12, collection.load()), (12, collection.memory())]),
        ],
    )
