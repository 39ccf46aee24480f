"""Finds the user and the login of a request, and checks whether the login is still valid."""
