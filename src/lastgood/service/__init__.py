"""The hub as one running thing: ingest, watch, checkpoint, and the composition root that builds them."""
