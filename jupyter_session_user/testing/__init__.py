"""For demos and tests: demo users, a private server, and clients that log in."""
