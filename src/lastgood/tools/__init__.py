"""One folder a backup tool: shapes of its payloads, their translation, and the client or driver that runs it.

Used by agents and collectors. Tools know nothing of hosts, schedules or alerts, and do not import each other.
"""
