"""The database: one writer, the fact log, state rows, history and records. SQL stands here and nowhere else."""
