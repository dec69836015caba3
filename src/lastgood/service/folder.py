"""The quick start's data folder: what ``lastgood up`` keeps in it, each made once and found again.

The one rule: secrets are files of mode 0600, made whole or not at all, so that a start that was interrupted is simply
started again.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path

from lastgood.auth.secrets import mint_token
from lastgood.config.private import write_once
from lastgood.errors import ConfigError
from lastgood.ids import stable_key

_SAMPLE = {
    "read me.txt": (
        "These few files are here so that the first backup has something to save.\n"
        "Protect a folder of your own with: lastgood up --source /path/to/it\n"
    ),
    "notes/monday.txt": "A backup that was never restored is a hope.\n",
    "notes/tuesday.txt": "When was the last good one?\n",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Paths in the data folder, all absolute."""

    root: Path

    @property
    def repository(self) -> Path:
        return self.root / "repository"

    @property
    def password_file(self) -> Path:
        return self.root / "repository.password"

    @property
    def agent(self) -> Path:
        return self.root / "agent"

    @property
    def metrics_token_file(self) -> Path:
        return self.root / "metrics.token"

    @property
    def metrics_header_file(self) -> Path:
        return self.root / "metrics.header"

    @property
    def sample(self) -> Path:
        return self.root / "sample"


def prepare(root: Path) -> Folder:
    """Make what is missing. Raises ConfigError if the folder cannot be used."""
    folder = Folder(root=root.absolute())
    try:
        folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.agent.mkdir(mode=0o700, exist_ok=True)
        _keep_password(folder)
        token = _keep(folder.metrics_token_file, mint_token("metrics").reveal() + "\n")
        _keep(folder.metrics_header_file, f"Authorization: Bearer {token}\n")
    except OSError as error:
        raise ConfigError(
            f"The data folder {folder.root} cannot be used ({error.strerror}: {error.filename}); make it writable "
            "for this user or choose another with --data-dir."
        ) from error
    return folder


def password_for(folder: Folder, repository: str) -> Path:
    """The password file of another repository, made if it is absent. Raises ConfigError."""
    path = folder.root / f"repository-{stable_key(repository)[:8].lower()}.password"
    try:
        _keep(path, _new_password())
    except OSError as error:
        raise ConfigError(f"The password file {path} cannot be made ({error.strerror}).") from error
    return path


def make_sample(folder: Folder) -> Path:
    """The small sample folder, made if it is absent. Raises ConfigError."""
    try:
        if not folder.sample.exists():
            for name, text in _SAMPLE.items():
                path = folder.sample / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"The sample folder {folder.sample} cannot be made ({error.strerror}).") from error
    return folder.sample


def _keep_password(folder: Folder) -> None:
    if folder.repository.exists() and not folder.password_file.exists():
        raise ConfigError(
            f"The repository {folder.repository} is there but its password file {folder.password_file} is gone; put "
            "the file back, or move the repository away to begin a new one."
        )
    _keep(folder.password_file, _new_password())


def _new_password() -> str:
    return base64.urlsafe_b64encode(os.urandom(24)).decode() + "\n"


def _keep(path: Path, text: str) -> str:
    """The text in the file without its line break; ``text`` is written if the file is absent."""
    write_once(path, text.encode())
    kept = path.read_text(encoding="utf-8").strip()
    if not kept:
        raise ConfigError(f"The file {path} is empty; put back what was in it, or delete it to have a new one made.")
    return kept
