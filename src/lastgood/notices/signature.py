"""The signature of a webhook: who has the channel's secret knows that the hub sent this body, and when.

Comes in: the secret, the moment and the body. Goes out: headers. The one rule: what is signed is the timestamp, a
full stop and the exact bytes of the body. HMAC-SHA-256 (RFC 2104), written in hex.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime

SIGNATURE = "X-Lastgood-Signature"
TIMESTAMP = "X-Lastgood-Timestamp"
ID = "X-Lastgood-Id"


def signed(secret: str, notice_id: str, body: bytes, at: datetime) -> dict[str, str]:
    """The headers that go with a body that is sent at this moment."""
    timestamp = str(int(at.timestamp()))
    return {ID: notice_id, TIMESTAMP: timestamp, SIGNATURE: f"sha256={signature(secret, timestamp, body)}"}


def signature(secret: str, timestamp: str, body: bytes) -> str:
    return hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
