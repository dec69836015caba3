"""Tests mirror the package; values to test with come from ``tests.builders``."""
