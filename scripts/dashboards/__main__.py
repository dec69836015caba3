"""``python -m scripts.dashboards``: writes the dashboards' JSON, and the package's copies of rules and dashboards."""

from __future__ import annotations

import shutil

from scripts.dashboards.made import DASHBOARDS, DEPLOYED, PACKAGED, RULES, text

for name, made in DASHBOARDS.items():
    for folder in (DEPLOYED, PACKAGED / "grafana"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text(made()))
(PACKAGED / "prometheus").mkdir(parents=True, exist_ok=True)
for rules in RULES.glob("*.yml"):
    shutil.copyfile(rules, PACKAGED / "prometheus" / rules.name)
