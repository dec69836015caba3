"""Proxmox Backup Server: what is asked when, and what it makes of the picture."""

from lastgood.collect.pbs.collector import PbsCollector

__all__ = ["PbsCollector"]
