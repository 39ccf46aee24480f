"""Makes the list of cases and the drivers importable."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Group the cases of one host, in any order: they share a server."""
    folder = Path(__file__).parent
    places = [number for number, item in enumerate(items) if folder in item.path.parents]
    sorted_items = sorted((items[number] for number in places), key=_host)
    for number, item in zip(places, sorted_items, strict=True):
        items[number] = item


def _host(item):
    return item.callspec.params.get("name", "") if hasattr(item, "callspec") else ""
