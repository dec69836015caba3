"""Which dashboards there are, where their JSON lies, and their text."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard
from scripts.dashboards import docker_fleet, overview, restic_manager
from scripts.dashboards.pbs import board as pbs

ROOT = Path(__file__).parents[2]
DEPLOYED = ROOT / "deploy/grafana"
RULES = ROOT / "deploy/prometheus/rules"
PACKAGED = ROOT / "src/lastgood/assets"
"""Copies that travel with the wheel, which is also built where ``deploy`` is not at hand."""

DASHBOARDS: dict[str, Callable[[], Dashboard]] = {
    "restic-manager-dashboard.json": restic_manager.dashboard,
    "lastgood-overview.json": overview.dashboard,
    "pbs.json": pbs.dashboard,
    "docker-fleet.json": docker_fleet.dashboard,
}


def text(dashboard: Dashboard) -> str:
    """The JSON that Grafana imports."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
