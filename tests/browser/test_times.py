"""Times in a cell's output are in the zone of the reader's browser."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from browsing import FULL_NAMES, Desk

pytestmark = pytest.mark.browser

ZONES = {"alice": "Asia/Tokyo", "bob": "America/New_York"}


def test_each_reader_gets_the_own_zone(chromium, lab, expect):
    """Two users on one kernel, in Tokyo and New York, read the end of the login in their zone."""
    for name in FULL_NAMES:
        context = chromium.new_context(timezone_id=ZONES[name], locale="en-GB")
        desk = Desk.of(context, lab, name)
        desk.open("people.ipynb")
        desk.run(0, 1, 2)
        for cell in (1, 2):
            time = desk.output(cell).locator("time")
            end = datetime.fromisoformat(time.get_attribute("datetime").replace("Z", "+00:00"))
            local = end.astimezone(ZoneInfo(ZONES[name]))
            expect(time).to_have_text(f"{local.day} {local:%b %Y, %H:%M}")
            assert time.get_attribute("title") == f"{end:%Y-%m-%d %H:%M} UTC"
        if folder := os.environ.get("SCREENSHOTS"):
            for scheme in ("light", "dark"):
                desk.choose_theme(scheme)
                desk.page.wait_for_timeout(500)
                desk.page.screenshot(path=Path(folder, f"times-{scheme}-{name}.png"))
