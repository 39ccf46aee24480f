"""The HTTP routes: REST API, pages, the banner's files, events."""
