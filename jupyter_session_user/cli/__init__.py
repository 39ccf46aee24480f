"""``jupyter session-user``: what an administrator runs."""
