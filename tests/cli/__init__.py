"""The commands as their users start them."""
