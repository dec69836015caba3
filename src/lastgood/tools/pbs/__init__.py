"""Proxmox Backup Server 3.2 to 4.2, read through its HTTP API."""
