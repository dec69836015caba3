"""The nouns of lastgood and everything that may be learned about them; pure values without behaviour of their own."""
