"""Stores for session records: one Protocol, one file per implementation."""
