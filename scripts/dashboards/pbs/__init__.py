"""The dashboard on ``pbs_*``: Proxmox Backup Servers, whether a hub tells of them or ``lastgood exporter pbs``.

Works with the published exporter's names too, where a panel needs no more than those. The one rule: a server is named
by ``server`` where it has a name, else by the address that was scraped, so that several exporters stay apart.
"""
