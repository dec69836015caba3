"""lastgood: when was the last good backup of everything you run?"""

__version__ = "0.1.0"
