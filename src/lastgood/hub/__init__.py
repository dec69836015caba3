"""The hub's side of the agent link: one session a connection, and the roster of who is connected.

``session.serve`` runs a connection that ``web/socket.py`` adapted; ``roster.Roster`` sends to agents. Edges get
callables (``session.Seams``), never the service.
"""
