"""The files of the banner: there is one copy of each."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from jupyter_session_user.banner.follow import STATES
from jupyter_session_user.banner.widget import ESM, STYLE
from jupyter_session_user.server.web.banner import VOILA_EXTENSION

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "jupyter_session_user" / "voila_banner"
FRONT = ROOT / "labextension"
CONTAINER = (FRONT / "src" / "banner" / "container.ts").read_text("utf-8")
BUILT = ESM.parent / "remoteEntry.js"
TEXTS = dict(
    re.findall(
        r"^ +(\w+): (?:trans\.__\()?'(.*?)'\)?,?$",
        "".join(
            (FRONT / "src" / name).read_text("utf-8")
            for name in ("banner/texts.ts", "shared/words.ts")
        ),
        re.MULTILINE,
    )
)
NO_TEXT = {"active", "expiring"}


def test_voilas_extension_has_the_packages_version_and_one_name():
    """The versions in package.json, the container, the server and the build agree."""
    package = json.loads((PACKAGE / "package.json").read_text("utf-8"))
    front = json.loads((FRONT / "package.json").read_text("utf-8"))
    assert package["version"] == front["version"]
    assert package["name"] == VOILA_EXTENSION
    assert f"'{VOILA_EXTENSION}'" in CONTAINER
    assert package["jupyterlab"]["_build"]["load"] == f"static/{BUILT.name}"


@pytest.mark.parametrize("path", [BUILT, ESM, STYLE], ids=lambda path: path.name)
def test_voilas_extension_uses_the_widgets_files(path):
    """The build puts the widget's files beside the container, which loads them from there."""
    target = f"share/jupyter/labextensions/{VOILA_EXTENSION}/static/{path.name}"
    line = f'"{path.relative_to(ROOT).as_posix()}" = "{target}"'
    assert line in (ROOT / "pyproject.toml").read_text("utf-8").splitlines()
    assert path == BUILT or f"new URL('{path.name}', here)" in CONTAINER


def test_nothing_shared_is_asked_for():
    """The container takes no shared module, so it loads with every JupyterLab and Voila."""
    assert "init: async () => undefined" in CONTAINER
    for script in (CONTAINER, BUILT.read_text("utf-8")):
        assert re.findall(r"\brequire|\brequires\b|loadShare|consumes", script) == []


def test_there_are_words_for_every_state():
    """Each state of the banner has a text."""
    assert set(STATES) - NO_TEXT - set(TEXTS) == set()


def test_words_are_never_html():
    """The scripts use no function of the DOM that parses text as HTML."""
    scripts = [*FRONT.glob("src/**/*.ts"), *ESM.parent.glob("*.js")]
    assert len(scripts) > 30
    for path in scripts:
        markup = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write"
        assert re.findall(markup, path.read_text("utf-8")) == [], path


def test_every_word_is_documented():
    """Translators find all names with their English texts."""
    docs = (ROOT / "docs" / "banner.md").read_text("utf-8")
    assert [name for name, text in TEXTS.items() if f"| `{name}` | {text} |" not in docs] == []
