"""Kopia 0.10 to 0.23, read through its command line or its server, never written to."""
