"""All we know now, how it is learned, and what it means."""
