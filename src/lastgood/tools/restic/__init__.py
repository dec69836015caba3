"""restic, release 0.14 to 0.19: run it, read what it says, and tell what that is worth.

``driver.Restic`` is the door: version, probe, init, backup, snapshots, sizes, locks; ``upkeep`` has check, forget,
prune and restore. Behind them ``command`` and ``orders`` say what is started, ``process`` starts and ends it,
``output``, ``work`` and ``documents`` read it, ``causes`` and ``outcome`` judge it, and ``redact`` takes out what
nobody else may read. I/O is done only by ``process``, ``program``, ``backup``, ``work``, ``upkeep`` and ``driver``.
"""
