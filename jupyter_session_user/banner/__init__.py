"""The banner that says when a login is over: one ESM and CSS file, and thin classes around it."""
