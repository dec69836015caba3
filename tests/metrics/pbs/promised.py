"""What the published exporter's page promises: names, types and labels, copied from there."""

from __future__ import annotations

_DATASTORE = ["datastore"]
_GROUP = ["datastore", "backup_type", "backup_id"]

PROMISED: dict[str, tuple[str, list[str]]] = {
    "pbs_host_cpu_usage": ("gauge", []),
    "pbs_host_io_wait": ("gauge", []),
    "pbs_host_load1": ("gauge", []),
    "pbs_host_load5": ("gauge", []),
    "pbs_host_load15": ("gauge", []),
    "pbs_host_memory_used_bytes": ("gauge", []),
    "pbs_host_memory_total_bytes": ("gauge", []),
    "pbs_host_memory_free_bytes": ("gauge", []),
    "pbs_host_swap_used_bytes": ("gauge", []),
    "pbs_host_swap_total_bytes": ("gauge", []),
    "pbs_host_swap_free_bytes": ("gauge", []),
    "pbs_host_rootfs_used_bytes": ("gauge", []),
    "pbs_host_rootfs_total_bytes": ("gauge", []),
    "pbs_host_rootfs_avail_bytes": ("gauge", []),
    "pbs_host_uptime_seconds": ("gauge", []),
    "pbs_datastore_total_bytes": ("gauge", _DATASTORE),
    "pbs_datastore_used_bytes": ("gauge", _DATASTORE),
    "pbs_datastore_available_bytes": ("gauge", _DATASTORE),
    "pbs_snapshot_info": ("gauge", [*_GROUP, "backup_time", "comment", "owner", "verification_state"]),
    "pbs_snapshot_size_bytes": ("gauge", _GROUP),
    "pbs_snapshot_count": ("gauge", _GROUP),
    "pbs_task_total": ("counter", ["worker_type", "status", "comment"]),
    "pbs_task_duration_seconds": ("gauge", ["worker_type", "status", "worker_id", "comment"]),
    "pbs_task_running": ("gauge", ["worker_type", "comment"]),
    "pbs_gc_last_run_timestamp": ("gauge", _DATASTORE),
    "pbs_gc_duration_seconds": ("gauge", _DATASTORE),
    "pbs_gc_removed_bytes": ("gauge", _DATASTORE),
    "pbs_gc_pending_bytes": ("gauge", _DATASTORE),
    "pbs_gc_status": ("gauge", _DATASTORE),
    "pbs_tape_drive_info": ("gauge", ["name", "vendor", "model", "serial"]),
    "pbs_tape_drive_available": ("gauge", []),
    "pbs_up": ("gauge", []),
    "pbs_version": ("gauge", ["version", "release", "repoid"]),
}
"""``pbs_task_total`` was a gauge over the last fifty tasks there, which its name and page do not say."""
