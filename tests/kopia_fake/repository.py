"""The repository itself: status, maintenance, blobs, in the layouts of ``--json`` and of the text commands."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b, sha256
from typing import Any

from .moments import DAY, HOUR, MINUTE, NEVER, SECOND, rfc3339
from .plan import SIZES
from .scenario import Scenario

CAPACITY, AVAILABLE = 15_998_900_355_072, 3_120_447_848_448
LOCKED_FOR = 30 * DAY
_EPOCHS = {
    "Enabled": True,
    "EpochRefreshFrequency": 20 * MINUTE,
    "FullCheckpointFrequency": 7,
    "CleanupSafetyMargin": 4 * HOUR,
    "MinEpochDuration": DAY,
    "EpochAdvanceOnCountThreshold": 20,
    "EpochAdvanceOnTotalSizeBytesThreshold": 10_485_760,
    "DeleteParallelism": 4,
}


def unique_id(scenario: Scenario) -> str:
    return sha256(f"repository {scenario.seed}".encode()).hexdigest()


def status(scenario: Scenario, config_file: str, options: dict[str, Any]) -> dict[str, Any]:
    """``repository status --json``; thin through a server."""
    client = {"hostname": options.get("hostname", "monitor"), "username": options.get("username", "lastgood")}
    if scenario.route != "direct":
        return _thin(config_file, client)
    if options.get("readonly"):
        client["readonly"] = True
    told: dict[str, Any] = {
        "configFile": config_file,
        "uniqueIDHex": unique_id(scenario),
        "clientOptions": client
        | {"description": f"Repository in {scenario.storage}", "enableActions": False}
        | {"formatBlobCacheDuration": 15 * MINUTE},
        "storage": {"type": scenario.storage, "config": _storage(scenario.storage)},
    }
    if scenario.storage in ("filesystem", "sftp"):
        told["volume"] = {"capacity": CAPACITY, "available": AVAILABLE}
    told["contentFormat"] = {
        "hash": "BLAKE2B-256-128",
        "encryption": "AES256-GCM-HMAC-SHA256",
        "version": 3 if scenario.release >= (11, 0) else 1,
        "maxPackSize": 20_971_520,
        "indexVersion": 2 if scenario.release >= (11, 0) else 1,
        "epochParameters": _EPOCHS,
        "enablePasswordChange": True,
    }
    told["objectFormat"] = {"splitter": "DYNAMIC-4M-BUZHASH"}
    locked = {"retentionMode": "COMPLIANCE", "retentionPeriod": LOCKED_FOR} if scenario.storage == "s3" else {}
    return told | {"blobRetention": locked}


def _storage(kind: str) -> dict[str, Any]:
    if kind == "filesystem":
        return {"path": "/mnt/backup/kopia", "fileMode": 384, "dirMode": 448, "dirShards": None}
    if kind == "sftp":
        where = {"path": "/backups", "host": "store.example.org", "port": 22, "username": "kopia"}
        return where | {"keyfile": "/etc/kopia/id", "knownHostsFile": "/etc/kopia/known_hosts", "dirShards": None}
    return {
        "bucket": "acme-backups",
        "prefix": "kopia/",
        "endpoint": "s3.eu-central-1.amazonaws.com",
        "accessKeyID": "EXAMPLEKEYID",
        "secretAccessKey": "*" * 40,
        "sessionToken": "",
        "roleARN": "",
        "sessionName": "",
        "duration": "0s",
        "roleEndpoint": "",
        "roleRegion": "",
        "region": "eu-central-1",
    }


def _thin(config_file: str, client: dict[str, Any]) -> dict[str, Any]:
    return {
        "configFile": config_file,
        "uniqueIDHex": "",
        "clientOptions": client
        | {"description": "Kopia server", "enableActions": False, "formatBlobCacheDuration": 15 * MINUTE},
        "storage": {"type": "", "config": None},
        "contentFormat": {
            "epochParameters": {name: False if name == "Enabled" else 0 for name in _EPOCHS},
            "enablePasswordChange": False,
        },
        "objectFormat": {},
        "blobRetention": {},
    }


# The steps of a full cycle in order, with the offset from its start in seconds and what each tells (since 0.22).
FULL = (
    ("snapshot-gc", 0, 81, "snapshotGCStats", {"unreferencedContentCount": 118, "deletedContentCount": 118}),
    ("full-rewrite-contents", 90, 48, "rewriteContentsStats", {"toRewriteContentCount": 204}),
    ("full-drop-deleted-content", 140, 9, "compactIndexesStats", {"droppedContentsDeletedBefore": NEVER}),
    ("full-delete-blobs", 150, 31, "deleteUnreferencedPacksStats", {"unreferencedPackCount": 41}),
    ("extend-blob-retention-time", 200, 48, "extendBlobRetentionStats", {"retentionPeriod": "720h0m0s"}),
    ("generate-epoch-range-index", 255, 3, "generateRangeCheckpointStats", {"rangeMinEpoch": 398}),
    ("cleanup-epoch-markers", 260, 1, "cleanupMarkersStats", {"deletedEpochMarkerBlobCount": 1}),
    ("delete-superseded-epoch-indexes", 270, 5, "cleanupSupersededIndexesStats", {"deletedBlobCount": 22}),
    ("cleanup-logs", 280, 2, "cleanupLogsStats", {"toDeleteBlobCount": 31, "deletedBlobCount": 31}),
)
QUICK = (
    ("compact-single-epoch", 0, 2, "compactSingleEpochStats", {"supersededIndexBlobCount": 11, "epoch": 409}),
    ("advance-epoch", 3, 1, "advanceEpochStats", {"currentEpoch": 412, "wasAdvanced": False}),
)
BROKEN = "error extending object lock retention time: Failed to extend 3 blobs"
KEPT_RUNS = 50


def owner(scenario: Scenario) -> str:
    return "root@deleted-host" if scenario.maintenance in ("never", "orphaned") else "root@host0000"


def cycles(scenario: Scenario) -> tuple[list[int], list[int]]:
    """When full and quick cycles began, newest first."""
    if scenario.maintenance == "never":
        return [], []
    age = 5 * DAY if scenario.maintenance in ("stale", "disabled") else 14 * HOUR
    first = scenario.now - age - 123_456_789
    quick = scenario.now - (age if age > DAY else 22 * MINUTE) - 987_654
    return [first - back * DAY for back in range(7)], [quick - back * HOUR for back in range(60)]


def maintenance(scenario: Scenario) -> dict[str, Any]:
    full, quick = cycles(scenario)
    runs: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for number, began in enumerate(full):
        broken = scenario.maintenance == "broken" and number == 0
        _cycle(scenario, runs, began, FULL, BROKEN if broken else "")
    for began in quick:
        _cycle(scenario, runs, began, QUICK, "")
    last_full, last_quick = max(full, default=0), max(quick, default=0)
    on = scenario.maintenance != "disabled"
    return {
        "owner": owner(scenario),
        "quick": {"enabled": on, "interval": HOUR},
        "full": {"enabled": on, "interval": DAY},
        "logRetention": {"maxTotalSize": 1 << 30, "maxCount": 10_000, "maxAge": 30 * DAY},
        "extendObjectLocks": scenario.storage == "s3",
        "listParallelism": 0,
        "schedule": {
            "nextFullMaintenance": rfc3339(last_full + DAY) if full else NEVER,
            "nextQuickMaintenance": rfc3339(last_quick + HOUR) if quick else NEVER,
            "runs": {
                task: [run for _, run in sorted(told, key=lambda one: -one[0])[:KEPT_RUNS]]
                for task, told in sorted(runs.items())
            }
            or None,
        },
    }


def _cycle(
    scenario: Scenario,
    runs: dict[str, list[tuple[int, dict[str, Any]]]],
    began: int,
    steps: tuple[tuple[str, int, int, str, dict[str, Any]], ...],
    broken: str,
) -> None:
    for task, after, lasting, kind, data in steps:
        if task == "extend-blob-retention-time" and scenario.storage != "s3" and not broken:
            continue
        start = began + after * SECOND
        run: dict[str, Any] = {"start": rfc3339(start), "end": rfc3339(start + lasting * SECOND + 1_234)}
        if broken and task == "extend-blob-retention-time":
            runs.setdefault(task, []).append((start, run | {"error": broken}))
            return  # what follows is not tried
        run["success"] = True
        if scenario.release >= (22, 0):
            idle = task == "compact-single-epoch" and began // HOUR % 2  # nothing to do tells nothing
            run["extra"] = [{"kind": kind, "data": None if idle else data}]
        runs.setdefault(task, []).append((start, run))


FEW = (
    ("kopia.blobcfg", 30),
    ("kopia.maintenance", 9118),
    ("kopia.repository", 1075),
    ("_log_20260821094312_5c0a_1787305392_1787305394_1_0e6ba33f8bc8f41515b9d77c0e27c07a", 18_204),
    ("s2d711642b726b04401627ca9fbac32f5-s66ba7e1d64881168143", 132),
    ("xe412", 28),
    ("xr398_404_827e033daa34682a209d9973f57dfe76-s2be744062dbc6e1f143-c1", 8_118_004),
    ("xs405_2ee4d2d9f925c4d4ab07ddf0017f9c9b-s58ba6fa5526b0c8d143-c1", 1_204_118),
    ("xw1787090671", 28),
)
INDEX_BLOBS = 12


def blobs(scenario: Scenario, prefix: str = "") -> Iterator[tuple[str, int, int]]:
    """Name, length and time of each, packs last; as many as the size says."""
    for name, length in FEW:
        if name.startswith(prefix):
            yield name, length, scenario.now - 100 * DAY
    uncompacted = scenario.index_blobs or INDEX_BLOBS
    for number in range(uncompacted):
        name = f"xn412_{number:032x}-s628a0ad530948b40143-c1"
        if name.startswith(prefix):
            yield name, 118_204 + number, scenario.now - number * MINUTE
    packs = max(0, SIZES[scenario.size].blobs - len(FEW) - uncompacted)
    if prefix[:1] not in ("", "p", "q"):
        return
    salt = blake2b(str(scenario.seed).encode(), digest_size=12).hexdigest()
    for number in range(packs):
        name = f"{'q' if number % 12 == 0 else 'p'}{salt}{number:08x}-s9cf38be47226dda7143"
        if name.startswith(prefix):
            yield name, 20_000_000 + number * 7919 % 1_900_000, scenario.now - number % 8000 * HOUR


def blob_lines(scenario: Scenario, prefix: str) -> Iterator[str]:
    for name, length, moment in blobs(scenario, prefix):
        yield f'{{"id":"{name}","length":{length},"timestamp":"{rfc3339(moment)}"}}'


def blob_stats(scenario: Scenario, prefix: str) -> str:
    lengths = [length for _, length, _ in blobs(scenario, prefix)]
    return statistics(lengths, ("Count", "Total", "Average"))


def statistics(lengths: list[int], words: tuple[str, str, str]) -> str:
    total, count = sum(lengths), len(lengths)
    lines = [f"{words[0]}: {count}", f"{words[1]}: {total}"]
    if count:
        lines += [f"{words[2]}: {total // count}", "Histogram:", ""]
        last = 0
        for power in range(1, 9):
            limit = 10**power
            within = [length for length in lengths if last <= length < limit]
            lines.append(f"{len(within):9d} between {last} and {limit} (total {sum(within)})")
            last = limit
    return "\n".join(lines) + "\n"


def content_stats(scenario: Scenario) -> str:
    count = SIZES[scenario.size].blobs * 27
    original, packed = count * 999_966, count * 723_500
    plain = count * 2 // 3
    return (
        f"Count: {count}\nTotal Bytes: {original}\nTotal Packed: {packed} (compression 27.6%)\nBy Method:\n"
        f"  {'(uncompressed)':<22} count: {plain} size: {plain * 500_000}\n"
        f"  {'zstd-fastest':<22} count: {count - plain} size: {original - plain * 500_000} "
        f"packed: {packed - plain * 500_000} compression: 41.5%\n"
        f"Average: {original // max(1, count)}\nHistogram:\n\n        0 between 0 and 10 (total 0)\n"
    )
