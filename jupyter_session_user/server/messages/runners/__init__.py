"""Server code that runs cells for users: one file per runner."""
