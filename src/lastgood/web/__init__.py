"""What the hub shows and takes over HTTP: pages, JSON API, sign-in, the socket of agents, and the scrape endpoint."""
