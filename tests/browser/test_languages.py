"""The texts in another language: JupyterLab's own language pack, and ours in this package."""

from __future__ import annotations

import importlib.util
import json

import pytest
from browsing import Desk, jupyter_lab

pytestmark = pytest.mark.browser


def test_german(need, chromium, expect, tmp_path):
    """With the language pack and its language chosen, the chip and its menu are in German."""
    pack = importlib.util.find_spec("jupyterlab_language_pack_de_DE")
    need(pack, "the language pack is missing: pip install jupyterlab-language-pack-de-DE")
    settings = tmp_path / "lab" / "user-settings" / "@jupyterlab" / "translation-extension"
    settings.mkdir(parents=True)
    (settings / "plugin.jupyterlab-settings").write_text(json.dumps({"locale": "de_DE"}))
    with jupyter_lab(tmp_path) as server:
        for name, full_name in (("alice", "Alice Adams"), ("bob", "Bob Brown")):
            desk = Desk.of(chromium.new_context(), server, name)
            expect(desk.chip).to_have_accessible_name(f"Angemeldet als {full_name}")
            desk.chip.click()
            expect(desk.menu.get_by_role("menuitem")).to_have_text(
                [
                    f"Angemeldet als {full_name}…",
                    "Agenten…",
                    "Erneut anmelden",
                    "Abmelden",
                    "Überall abmelden…",
                ]
            )
