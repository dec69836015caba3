"""Settings: what can be set, where each value came from, and the key file.

``load.load`` turns environment and file into ``settings.Settings``; everything above receives that value and
reads neither. A setting is one field of ``settings.py``; names, checks and the reference page follow from it.
"""
