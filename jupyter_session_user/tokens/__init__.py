"""Identity tokens: the keys that sign them, and the function with which services verify them."""
