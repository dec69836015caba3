"""What was asked of the simulator: counts by path, bytes, connections, and the last calls in their order."""

from __future__ import annotations

from collections import Counter, deque
from typing import Any

KEPT_CALLS = 200


class Stats:
    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.connections = 0
        self.handshakes = 0
        self.failed_handshakes = 0
        self.plain = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.in_flight_of: Counter[str] = Counter()
        self.most_in_flight_of: Counter[str] = Counter()
        self.bytes_raw = 0
        self.bytes_deflated = 0
        self.calls: deque[dict[str, Any]] = deque(maxlen=KEPT_CALLS)

    def began(self, template: str) -> None:
        self.requests[template] += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.in_flight_of[template] += 1
        self.most_in_flight_of[template] = max(self.most_in_flight_of[template], self.in_flight_of[template])

    def ended(self, template: str) -> None:
        self.in_flight -= 1
        self.in_flight_of[template] -= 1

    def answered(self, method: str, target: str, status: int) -> None:
        self.statuses[status] += 1
        self.calls.append({"method": method, "target": target, "status": status})

    def told(self) -> dict[str, Any]:
        return {
            "requests": dict(self.requests),
            "requests_total": self.requests.total(),
            "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
            "unauthorized": self.statuses[401],
            "forbidden": self.statuses[403],
            "connections": self.connections,
            "handshakes": self.handshakes,
            "failed_handshakes": self.failed_handshakes,
            "plain_http": self.plain,
            "in_flight": self.in_flight,
            "max_in_flight": self.most_in_flight,
            "max_in_flight_by_path": dict(self.most_in_flight_of),
            "bytes_raw": self.bytes_raw,
            "bytes_deflated": self.bytes_deflated,
            "calls": list(self.calls),
        }
