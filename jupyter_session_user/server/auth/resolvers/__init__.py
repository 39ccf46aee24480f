"""Find the end of a login, and its id, from a request: one file per resolver."""
