"""When a login ends, and what tells it from another, as far as a request says: one file each."""
