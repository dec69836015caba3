"""The overview on ``backup_*``: when was the last good backup of everything, whatever tool made it.

Worst first from top to bottom: the verdict, what is not good, kept promises, size and growth, and what nobody could
see. Archived and paused sources are counted as such and left out of every panel that blames.
"""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models
from scripts.dashboards import coming, promises, sizes, unseen, verdicts
from scripts.dashboards.parts import Row, board, datasource_variable, label_variable


def dashboard() -> models.Dashboard:
    return board(
        "lastgood-overview",
        "Backups: when was the last good one?",
        "All sources and repositories of all backup tools, from lastgood's backup_* metrics.",
        [
            datasource_variable(),
            label_variable("tool", "Tool", "backup_source_info"),
            label_variable("host", "Host", 'backup_source_info{tool=~"$tool"}'),
            label_variable("repository", "Repository", 'backup_source_info{tool=~"$tool", host=~"$host"}'),
        ],
        [
            Row(4, [(5, verdicts.oldest()), (19, verdicts.by_state())]),
            Row(10, [(15, verdicts.not_good()), (9, verdicts.furthest_past())]),
            Row(8, [(12, verdicts.over_time_by_state()), (12, coming.due())]),
            Row(7, [(5, promises.kept()), (10, promises.by_tool()), (9, promises.least_kept())], "Kept promises"),
            Row(8, [(12, sizes.repositories()), (12, sizes.added())], "Size and growth"),
            Row(8, [(15, sizes.filling()), (9, sizes.durations())]),
            Row(4, unseen.counts(), "What we could not see"),
            Row(8, [(12, unseen.longest()), (12, unseen.silent_repositories())]),
        ],
    )
