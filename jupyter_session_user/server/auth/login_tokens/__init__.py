"""Sources of the tokens of a login at the identity provider: one file per implementation."""
