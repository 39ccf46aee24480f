"""For demos and tests: demo people, a private server, and clients that log in."""
