"""The files of the banner: one copy of each, wherever they are used."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jupyter_session_user.banner.follow import STATES
from jupyter_session_user.banner.widget import ESM, STYLE
from jupyter_session_user.server.banner import VOILA_EXTENSION

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "jupyter_session_user" / "voila_banner"
CONTAINER = (PACKAGE / "static" / "remoteEntry.js").read_text("utf-8")
SCRIPT = ESM.read_text("utf-8")
TEXTS = dict(
    re.findall(
        r'^  (\w+): "(.*)",$', SCRIPT.partition("TEXTS =")[2].partition("});")[0], re.MULTILINE
    )
)
NO_TEXT = {"active", "expiring"}


def test_voilas_extension_has_the_packages_version_and_one_name():
    """Its package.json, its container, the server and the build agree."""
    package = json.loads((PACKAGE / "package.json").read_text("utf-8"))
    front = json.loads((ROOT / "labextension" / "package.json").read_text("utf-8"))
    assert package["version"] == front["version"]
    assert package["name"] == VOILA_EXTENSION
    assert f'"{VOILA_EXTENSION}"' in CONTAINER
    assert (PACKAGE / package["jupyterlab"]["_build"]["load"]).exists()


@pytest.mark.parametrize("path", [ESM, STYLE], ids=lambda path: path.name)
def test_voilas_extension_uses_the_widgets_files(path):
    """The build puts the widget's own files beside the container, which asks for them there."""
    target = f"share/jupyter/labextensions/{VOILA_EXTENSION}/static/{path.name}"
    line = f'"jupyter_session_user/banner/{path.name}" = "{target}"'
    assert line in (ROOT / "pyproject.toml").read_text("utf-8").splitlines()
    assert f'new URL("{path.name}", here)' in CONTAINER
    assert not (PACKAGE / "static" / path.name).exists()


def test_nothing_shared_is_asked_for():
    """The container takes no shared module, so it loads with every JupyterLab and Voila."""
    assert "init: async () => undefined" in CONTAINER
    assert re.findall(r"\brequire|\brequires\b|loadShare|consumes", CONTAINER) == []


def test_there_are_words_for_every_state():
    """Whatever a banner can show has a text, or several."""
    assert set(STATES) - NO_TEXT - set(TEXTS) == set()


def test_words_are_never_html():
    """No way of the DOM that parses text as HTML is in use."""
    assert re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write", SCRIPT) == []


def test_every_word_is_documented():
    """Translators find all names, and what stands there now."""
    docs = (ROOT / "docs" / "banner.md").read_text("utf-8")
    assert [name for name, text in TEXTS.items() if f"| `{name}` | {text} |" not in docs] == []
