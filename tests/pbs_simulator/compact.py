"""JSON as PBS writes it: no blanks, no escapes for what is not ASCII."""

from __future__ import annotations

import json

compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
