"""How a simulated server is set up: who may come in, what is switched on, and the world it serves."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.kopia_fake.scenario import Scenario

FOUR_HOURS = 4 * 3600


@dataclass
class Settings:
    scenario: Scenario = field(default_factory=Scenario)
    tls: bool = False
    serial: int = 1  # of the certificate; another one has another fingerprint
    ui: bool = True
    control: bool = True
    ui_user: str = "kopia"
    ui_password: str = "ui-secret"
    control_user: str = "server-control"
    control_password: str = "control-secret"
    repository_user: str = "lastgood@monitor"
    repository_password: str = "user-secret"
    local: str = "root@host0000"  # whose sources this server runs itself
    read_only: bool = False  # then every source is another's
    refresh_seconds: int = FOUR_HOURS
    zone_minutes: int = 120  # of the server: tasks and next times carry it
    parallel: int = 1

    def passwords(self) -> dict[str, str]:
        return {
            self.ui_user: self.ui_password,
            self.control_user: self.control_password,
            self.repository_user: self.repository_password,
        }
