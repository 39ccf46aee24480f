"""Where session records live: one Protocol, one file per implementation."""
