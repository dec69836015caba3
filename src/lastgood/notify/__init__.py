"""The ways out: a signed webhook, and every service that Apprise knows."""
