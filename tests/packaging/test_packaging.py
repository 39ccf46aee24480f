"""The contents of releases: versions, lock files, the wheel and the sdist."""

import gzip
import json
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import jupyter_session_user
from jupyter_session_user.banner.widget import ESM
from jupyter_session_user.cli.demo_server import _FILES

ROOT = Path(__file__).parents[2]
FRONT = ROOT / "labextension"
MAX_BUNDLE_BYTES = 16_000  # gzipped; every page of every user loads it
MAX_LATER_BYTES = 6_000  # gzipped, of each part that a page loads when it is needed
MAX_BANNER_BYTES = 9_000  # the same, of each page that has a banner
#: The scripts that Python serves, built from ``labextension/src``.
SCRIPTS = ("banner.js", "jupyter_session_user.js", "remoteEntry.js", "signed_in.js", "tour.js")
#: Where the wheel has the files that the demo shows, and those of its page.
DEMO = "jupyter_session_user/testing/examples/"
TOUR_FILES = ("login.html", "refused.html", "tour.css", "tour.html")
ASSETS = "share/jupyter/labextensions/jupyter-session-user"
SWITCH = "etc/jupyter/jupyter_server_config.d/jupyter_session_user.json"

# No file of the package is below any of these folders.
FOREIGN = ("tests/", "labextension/", "benchmarks/", "docs/", "node_modules/", ".ci/")

PACKAGE_JSON = json.loads((FRONT / "package.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Copy the tree with its built assets, so that a build cannot change it."""
    copy = tmp_path_factory.mktemp("build") / "sources"
    ignored = shutil.ignore_patterns(
        ".git", ".venv*", ".*_cache", ".hypothesis", ".make", "__pycache__", "lib", "node_modules"
    )
    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


def build(sources, target):
    """Build without a network: the test environment has the build tools."""
    run = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", "dist"]
    subprocess.run(run, cwd=sources, check=True, capture_output=True, timeout=100)
    (built,) = (sources / "dist").glob({"wheel": "*.whl", "sdist": "*.tar.gz"}[target])
    return built


@pytest.fixture(scope="module")
def wheel(sources):
    """Return the names of the wheel's files."""
    with zipfile.ZipFile(build(sources, "wheel")) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def sdist(sources):
    """Return the names of the sdist's files, without the folder that holds them all."""
    with tarfile.open(build(sources, "sdist")) as archive:
        return [name.partition("/")[2] for name in archive.getnames()]


def data_files(wheel):
    """Return the paths that the installer puts below the environment's prefix."""
    return [name.partition(".data/data/")[2] for name in wheel if ".data/data/" in name]


def test_python_and_the_front_end_have_one_version():
    """`__version__` is the version of package.json."""
    assert jupyter_session_user.__version__ == PACKAGE_JSON["version"]


def test_the_newest_changelog_heading_is_this_version():
    """A version is released with its entry in the changelog."""
    headings = re.findall(r"^## v?(\S+)", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert headings[0] == PACKAGE_JSON["version"]


@pytest.mark.parametrize("name", ["yarn.lock", ".yarnrc.yml", "package.json"])
def test_nobody_is_told_where_packages_come_from(name):
    """The lock file and its settings name no host, so users of a mirror can build."""
    text = (FRONT / name).read_text("utf-8")
    assert re.findall(r"https?:|__archiveUrl|RegistryServer|resolved", text) == []


def test_the_lock_file_knows_every_platform():
    """Contributors on macOS and Windows find their native bundler in the lock file."""
    text = (FRONT / "yarn.lock").read_text("utf-8")
    bindings = set(re.findall(r'"@rspack/binding-(\w+)', text))
    assert {"darwin", "linux", "win32"} <= bindings


@pytest.mark.slow
def test_the_bundle_is_small(sources, wheel):
    """What every page loads stays below its budget, and so does each part that comes later."""
    scripts = list(sources.glob("jupyter_session_user/labextension/static/*.js"))
    later = [path for path in scripts if path.name.startswith("later-")]
    at_once = [path for path in scripts if path not in later]
    assert later
    assert at_once
    assert sum(len(gzip.compress(path.read_bytes())) for path in at_once) <= MAX_BUNDLE_BYTES
    assert all(len(gzip.compress(path.read_bytes())) <= MAX_LATER_BYTES for path in later)


def test_the_banner_is_small():
    """The size of the banner, as the widget and Voila's pages load it."""
    assert len(gzip.compress(ESM.read_bytes())) <= MAX_BANNER_BYTES


def test_all_names_of_the_front_end_agree():
    """Lab finds the extension, its settings and its files under one name."""
    (paths,) = jupyter_session_user._jupyter_labextension_paths()
    assert paths == {"src": "labextension", "dest": PACKAGE_JSON["name"]}
    assert f"'{PACKAGE_JSON['name']}:plugin'" in (FRONT / "src/lab/plugins/chip.ts").read_text(
        "utf-8"
    )


def test_the_front_end_has_no_any():
    """Data from outside are ``unknown`` until a decoder has checked them."""
    sources = [path.read_text("utf-8") for path in FRONT.glob("src/**/*.ts")]
    code = [re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL) for text in sources]
    assert [
        found for text in code for found in re.findall(r"[:<|&]\s*any\b|\bas any\b", text)
    ] == []


@pytest.mark.slow
def test_the_wheel_switches_the_extension_on(wheel):
    """Installing the wheel enables the extension, for the server and for the front end."""
    installed = data_files(wheel)
    assert {SWITCH, f"{ASSETS}/package.json", f"{ASSETS}/install.json"} <= set(installed)
    assert any(re.search(r"static/remoteEntry\.\w+\.js$", name) for name in installed)
    assert any(name.endswith("schemas/jupyter-session-user/plugin.json") for name in installed)
    assert {f"{ASSETS}-voila/static/{name}" for name in ("remoteEntry.js", ESM.name)} <= set(
        installed
    )


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    """The wheel is typed and licensed, and holds no tests, sources of the front end or caches."""
    assert {"jupyter_session_user/py.typed", "jupyter_session_user/_version.py"} <= set(wheel)
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
    assert {f"jupyter_session_user/dist/{name}" for name in SCRIPTS} <= set(wheel)
    assert [name for name in wheel if name.startswith(FOREIGN) or "__pycache__" in name] == []


@pytest.mark.slow
def test_every_module_is_in_the_wheel(wheel):
    """The wheel has each package, and no file of an older checkout."""
    modules = {
        path.relative_to(ROOT).as_posix() for path in ROOT.glob("jupyter_session_user/**/*.py")
    }
    installed = {name for name in wheel if name.startswith("jupyter_session_user/")}
    shown = f"{DEMO}panel/visitors.py"  # an app that the demo serves, and no module
    assert {name for name in installed if name.endswith(".py")} == {*modules, shown}


@pytest.mark.slow
def test_the_wheel_has_the_files_of_the_demo(wheel, sources):
    """The notebook, the page and the app of the demo are those of the examples."""
    names = {name.removeprefix(DEMO) for name in wheel if name.startswith(DEMO)}
    assert names == set(_FILES)
    assert {f"jupyter_session_user/testing/tour_files/{name}" for name in TOUR_FILES} <= set(wheel)
    assert all((sources / "examples" / name).is_file() for name in names)


@pytest.mark.slow
def test_the_sdist_needs_no_node(sdist):
    """The sdist has the built assets, beside the sources of their build."""
    assert "jupyter_session_user/labextension/static/style.js" in sdist
    assert {f"jupyter_session_user/dist/{name}" for name in SCRIPTS} <= set(sdist)
    assert {"labextension/yarn.lock", "labextension/src/lab/index.ts", "LICENSE"} <= set(sdist)
    assert [name for name in sdist if "node_modules" in name or name.startswith(".venv")] == []
