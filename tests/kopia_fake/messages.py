"""What Kopia says on stderr when it fails, by condition; a reader matches on parts of these."""

MESSAGES = {
    "not_connected": "open repository: repository is not connected. See https://kopia.io/docs/repositories/",
    "password": (
        "failed to open repository: unable to create format manager: invalid repository password\n"
        "open repository: unable to open repository: unable to create format manager: invalid repository password"
    ),
    "access_denied": (
        "error opening repository: error establishing write session: rpc error: "
        "code = PermissionDenied desc = access denied for lastgood@monitor"
    ),
    "prompt": "open repository: get password: password prompt error: inappropriate ioctl for device",
    "fingerprint": (
        "error opening repository: unable to open gRPC connection: "
        'can\'t find certificate matching SHA256 fingerprint "0f0f" (server had ["ab12"])'
    ),
    "direct_only": "operation supported only on direct repository",
    "storage": (
        "open repository: unable to open repository: cannot open storage: cannot access storage path: "
        "stat /mnt/backup/kopia: no such file or directory"
    ),
    "volume": "unable to get storage volume capacity: error statting storage: input/output error",
    "upgrade": "error opening repository: repository upgrade in progress",
    "manifest": "unable to load snapshots: error loading manifest: content not found",
    "parse": "unable to parse snapshot manifest {}: unexpected end of JSON input",
    "policy": "unable to determine effective policy for {}",
    "crash": "panic: runtime error: index out of range [3] with length 3",
}
