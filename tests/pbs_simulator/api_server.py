"""Endpoints about the server itself: version, node status, subscription, certificate, disks, services, metrics.

Outside format: sheet of PBS facts, section 4.1, and its recordings.
"""

from __future__ import annotations

from typing import Any

from .call import Call, Route, acl_path
from .certificate import KEY_BITS, SUBJECT

_KERNEL = {
    "sysname": "Linux",
    "release": "6.14.11-4-pve",
    "version": "#1 SMP PREEMPT_DYNAMIC PMX 6.14.11-4 (2025-10-10T08:04Z)",
    "machine": "x86_64",
}
_MEMORY = 33554432000
_ROOT = {"total": 100861726720, "used": 14495514624, "avail": 81202114560}
_SWAP = {"total": 8589930496, "used": 52428800, "free": 8537501696}
_LOAD = [0.42, 0.51, 0.47]
_UPTIME = 1987342


def _ping(call: Call) -> Any:
    return {"pong": True}


def _version(call: Call) -> Any:
    version = call.world.version
    return {
        "version": f"{version.major}.{version.minor}",
        "release": str(version.release),
        "repoid": "5b8f1c6e0d7a43920f3e6b1c8d2a79e4415c0b7f",
    }


def _node_status(call: Call) -> Any:
    world = call.world
    cpu, wait = world.cpu.read(world.now)
    return {
        "memory": _memory(call),
        "root": _ROOT,
        "swap": _SWAP,
        "uptime": _UPTIME + world.now - world.setting.now,
        "loadavg": _LOAD,
        "current-kernel": _KERNEL,
        "kversion": f"{_KERNEL['sysname']} {_KERNEL['release']} {_KERNEL['version']}",
        "cpu": cpu,
        "wait": wait,
        "cpuinfo": {"model": "AMD EPYC 4344P 8-Core Processor", "sockets": 1, "cpus": 16},
        "info": {"fingerprint": world.certificate().pin},
        "boot-info": {"mode": "efi", "secureboot": True},
    }


def _memory(call: Call) -> dict[str, int]:
    free = 1207959552
    # From 3.4 on what the kernel could give back does not count as used.
    used = 9395240960 if call.world.version.has("memory-available") else _MEMORY - free
    return {"total": _MEMORY, "used": used, "free": free}


def _subscription(call: Call) -> Any:
    told = {
        "status": "active",
        "serverid": "9D2C4B7A1E6F3085C7D9A0B1E2F34567",
        "checktime": 1763600012,
        "key": "pbsc-0a1b2c3d4e",
        "message": "The subscription is active",
        "productname": "Proxmox Backup Server Community Subscription 1 year",
        "regdate": "2025-03-01 00:00:00",
        "nextduedate": "2026-03-01",
        "url": "https://www.proxmox.com/en/proxmox-backup-server/pricing",
    }
    if call.allows("/", "Sys.Audit"):
        return told
    return {key: told[key] for key in ("status", "message", "url")}


def _certificates(call: Call) -> Any:
    shown = call.world.certificate()
    return [
        {
            "filename": "proxy.pem",
            "subject": SUBJECT,
            "san": list(shown.names),
            "issuer": SUBJECT,
            "notbefore": shown.not_before,
            "notafter": shown.not_after,
            "pem": shown.pem,
            "public-key-type": "rsaEncryption",
            "public-key-bits": KEY_BITS,
            "fingerprint": shown.pin,
        }
    ]


def _disks(call: Call) -> Any:
    smart = not call.params.get("skipsmart", False)
    return [
        {
            "name": f"sd{letter}",
            "used": "zfs",
            "disk-type": "hdd",
            "status": ("failed" if letter == "c" else "passed") if smart else "unknown",
            "wearout": None,
            "vendor": "ATA",
            "model": "MG08",
            "wwn": f"0x50{index}",
            "size": 16000900661248,
            "serial": f"X{index}",
            "devpath": f"/dev/sd{letter}",
            "gpt": True,
            "rpm": 7200,
            "partitions": None,
        }
        for index, letter in enumerate("abcd", 1)
    ]


def _zfs(call: Call) -> Any:
    shape = {"size": 15994458210304, "alloc": 5998045716480, "free": 9996412493824, "frag": 12, "dedup": 1.0}
    return [{"name": "tank", "health": "ONLINE"} | shape, {"name": "vault", "health": "DEGRADED"} | shape]


def _updates(call: Call) -> Any:
    package = {
        "Package": "proxmox-backup-server",
        "Title": "Proxmox Backup Server daemon with tools and GUI",
        "Arch": "amd64",
        "Description": "This package contains the Proxmox Backup Server daemons and related tools.",
        "Version": "4.2.3-1",
        "OldVersion": f"{call.world.version}-1",
        "Origin": "Proxmox",
        "Priority": "optional",
        "Section": "admin",
    }
    return [package] if str(call.world.version) != "4.2.3" else []


_SERVICES = ("proxmox-backup", "proxmox-backup-proxy", "sshd", "systemd-journald", "cron", "postfix", "chrony")


def _services(call: Call) -> Any:
    return [
        {
            "service": name,
            "name": name,
            "desc": f"{name} daemon",
            "state": "dead" if name == "postfix" else "running",
            "unit-state": "disabled" if name == "postfix" else "enabled",
        }
        for name in _SERVICES
    ]


def _metrics(call: Call) -> Any:
    world = call.world
    latest = world.now - world.now % 10 - 4
    stamps = [latest]
    if call.params.get("history"):
        since = max(call.params.get("start-time", 0), latest - 1800)
        stamps = [stamp for stamp in range(latest, latest - 1800, -10) if stamp > since]
    rows = []
    for stamp in stamps:
        if call.allows("/system/status", "Sys.Audit"):
            rows += [_point("host", name, stamp, value) for name, value in _host_points(call, stamp).items()]
        for store in world.stores.values():
            if not call.allows(acl_path(store.name), "Datastore.Audit"):
                continue
            shared = {"disk_total": store.total, "disk_used": store.used, "disk_available": store.total - store.used}
            moved = {"disk_read": 8123372036096 + stamp, "disk_write": 6021340299264 + stamp}
            if store.backend != "s3":
                rows += [_point(f"datastore/{store.name}", *item) for item in _stamped(shared | moved, stamp)]
            elif world.version.has("s3-statistics"):
                s3 = {"uploaded": 1834072113152, "downloaded": 98412307456}
                rows += [_point(f"datastore/{store.name}/s3", *item) for item in _stamped(s3, stamp)]
    return {"data": rows}


def _host_points(call: Call, stamp: int) -> dict[str, float]:
    memory = _memory(call)
    points: dict[str, float] = {"cpu_current": 0.0381, "cpu_iowait": 0.0044}
    points |= dict(zip(("cpu_avg1", "cpu_avg5", "cpu_avg15"), _LOAD, strict=True))
    points |= {"mem_total": memory["total"], "mem_used": memory["used"]}
    points |= {"swap_total": _SWAP["total"], "swap_used": _SWAP["used"]}
    points |= {"net_in": 918273645546 + stamp, "net_out": 128374655443 + stamp}
    points |= {"disk_total": _ROOT["total"], "disk_used": _ROOT["used"], "disk_available": _ROOT["avail"]}
    return points | {"disk_read": 73014444032 + stamp, "disk_write": 391720132608 + stamp}


def _stamped(points: dict[str, int], stamp: int) -> list[tuple[str, int, float]]:
    return [(name, stamp, value) for name, value in points.items()]


_DERIVED = ("net_in", "net_out", "disk_read", "disk_write")


def _point(of: str, metric: str, stamp: int, value: float) -> dict[str, Any]:
    kind = "derive" if metric in _DERIVED else "gauge"
    return {"id": of, "metric": metric, "timestamp": stamp, "type": kind, "value": float(value)}


def _nothing(call: Call) -> Any:
    return []


def _permissions(call: Call) -> Any:
    paths = ["/", "/access", "/datastore", "/remote", "/system", "/system/disks", "/system/status", "/system/tasks"]
    paths += ["/tape", *(acl_path(name) for name in call.world.stores)]
    wanted = call.params.get("path")
    return call.world.access.table(call.who, [wanted] if wanted else paths)


def _identity(call: Call) -> Any:
    return {"pbs-instance-id": "9d2c4b7a1e6f3085c7d9a0b1e2f34567"}


_DISKS = {"skipsmart": "bool", "include-partitions": "bool", "usage-type": "text"}
_RANGE = {"history": "bool", "start-time": "int"}

ROUTES = (
    Route("ping", _ping, public=True),
    Route("version", _version),
    Route("nodes/{node}/status", _node_status, needs=("/system/status", "Sys.Audit")),
    Route("nodes/{node}/subscription", _subscription),
    Route("nodes/{node}/certificates/info", _certificates, needs=("/system/certificates", "Sys.Modify")),
    Route("nodes/{node}/disks/list", _disks, _DISKS, ("/system/disks", "Sys.Audit")),
    Route("nodes/{node}/disks/zfs", _zfs, needs=("/system/disks", "Sys.Audit")),
    Route("nodes/{node}/apt/update", _updates, needs=("/", "Sys.Audit")),
    Route("nodes/{node}/services", _services, needs=("/system/services", "Sys.Audit")),
    Route("nodes/{node}/identity", _identity, needs=("/system", "Sys.Audit"), gate="identity"),
    Route("status/metrics", _metrics, _RANGE, gate="status-metrics"),
    Route("config/metrics/influxdb-udp", _nothing, needs=("/system/metrics", "Sys.Audit")),
    Route("config/metrics/influxdb-http", _nothing, needs=("/system/metrics", "Sys.Audit")),
    Route("admin/metrics", _nothing, needs=("/system/metrics", "Sys.Audit")),
    Route("access/permissions", _permissions, {"path": "text", "auth-id": "text"}),
)
