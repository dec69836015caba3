"""Being told, as far as it is thinking: what goes into a digest, texts, signatures, patience."""
