"""The attacks that ``attacks.py`` runs, a module for each kind."""
