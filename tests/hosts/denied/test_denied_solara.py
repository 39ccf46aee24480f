"""A refused visitor of a Solara page reads a sentence, with the pattern of its documentation.

Without a browser: Solara's scripts come from a CDN.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from app_servers import PATIENCE_S
from denied_apps import running
from solara_pages import solara_page

REPORT = "The report: 42"
SENTENCE = "is not permitted to do this: this needs a member of the group 'finance'"


@pytest.mark.parametrize("mode", ["page", "callback"])
async def test_solara(need, mode):
    """``use_exception`` shows it on a page, and ``except`` after a click; alice has the report."""
    need(importlib.util.find_spec("solara"), "solara is missing")
    need(importlib.util.find_spec("aiohttp"), "aiohttp is missing")
    with running("solara", mode) as (server, _):
        for person, text in (("bob", SENTENCE), ("alice", REPORT), ("bob", SENTENCE)):
            async with solara_page(server, person) as page:
                await page.start()
                if mode == "callback":
                    await _until(lambda page=page: page.button)
                    await page.click({})
                await _until(lambda page=page, text=text: text in page.text)
                assert (SENTENCE in page.text) is (person == "bob")
                assert (REPORT in page.text) is (person == "alice")
                assert "Traceback" not in page.text


async def _until(ready):
    for _ in range(int(PATIENCE_S / 0.05)):
        if ready():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError
