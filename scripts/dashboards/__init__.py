"""The Grafana dashboards, as code: one module a dashboard, and what they share in ``parts`` and ``table``.

``python -m scripts.dashboards`` writes their JSON to ``deploy/grafana`` and into the package, from where ``lastgood
dashboards`` hands it out. The one rule: the JSON is never edited by hand; a test holds it equal to what stands here.
Needs grafana-foundation-sdk, which is for development only. Schema version 39, for Grafana 11 and newer.
"""
