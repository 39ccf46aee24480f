"""The banner that shows that a login is over: one ESM and CSS file, and thin classes around it."""
