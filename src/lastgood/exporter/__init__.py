"""Composition roots of the stand-alone exporters: one collector with its own ``/metrics``, no hub, no database."""
