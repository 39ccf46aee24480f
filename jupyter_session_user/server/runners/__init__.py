"""Code that the server runs for somebody: one file per runner."""
