"""A simulated ``kopia server``: control and UI API, its webhooks, wrong on request, and the truth beside it.

For tests (`with KopiaServer() as server:` from `tests.kopia_server.simulator`) and from the command line
(`python -m tests.kopia_server --help`). Its world is that of the fake command; neither shares code with the product.
"""
