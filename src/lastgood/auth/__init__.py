"""Who may do what: passwords, tokens, keys, and the gate before `/metrics`.

Pure decisions over values; headers, rows and files are fetched by others and passed in. ``passwords`` needs the
hub extra, so nothing is imported here.
"""
