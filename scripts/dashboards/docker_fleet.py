"""The dashboard of container hosts on ``dockmesh_*``, with the coverage that ``backup_*`` tells beside it.

All but the panels on uncovered data work on dockmesh itself, as far as that tells the families of its own reference.
The one rule: a host that cannot be asked shows what is known of it and since when, and no panel counts it as well.
"""

from __future__ import annotations

from grafana_foundation_sdk.models import dashboard as models
from scripts.dashboards import docker_events, docker_hosts
from scripts.dashboards.parts import Row, board, datasource_variable, label_variable


def dashboard() -> models.Dashboard:
    return board(
        "lastgood-docker",
        "Container hosts",
        "Hosts, stacks, containers, backup jobs and deploys, from the dockmesh_* metrics.",
        [datasource_variable(), label_variable("host", "Host", "dockmesh_agent_last_seen_seconds")],
        [
            Row(4, [(8, docker_hosts.by_status()), (11, docker_hosts.stacks()), (5, docker_hosts.uncovered())]),
            Row(10, [(24, docker_hosts.table_of_hosts())]),
            Row(8, [(12, docker_hosts.stacks_over_time()), (12, docker_hosts.containers_over_time())]),
            Row(9, [(14, docker_events.jobs()), (10, docker_events.durations())], "Backup jobs"),
            Row(8, [(12, docker_events.deploys()), (12, docker_events.deploy_times())], "Deploys"),
            Row(8, [(12, docker_events.round_trips()), (12, docker_events.requests())], "lastgood and its agents"),
            Row(8, [(12, docker_events.alerts()), (12, docker_events.audited())]),
        ],
    )
