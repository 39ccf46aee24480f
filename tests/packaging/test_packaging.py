"""What leaves this repository: versions, lock files, the wheel and the sdist."""

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

ROOT = Path(__file__).parents[2]
FRONT = ROOT / "labextension"
MAX_BUNDLE_BYTES = 15_000  # gzipped; every page of every user loads it
ASSETS = "share/jupyter/labextensions/jupyter-session-user"
SWITCH = "etc/jupyter/jupyter_server_config.d/jupyter_session_user.json"

# A path below any of these folders never comes from us.
FOREIGN = ("tests/", "labextension/", "benchmarks/", "docs/", "node_modules/", ".ci/")

PACKAGE_JSON = json.loads((FRONT / "package.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Copy the tree as it is, built assets included, so that a build cannot soil it."""
    copy = tmp_path_factory.mktemp("build") / "sources"
    ignored = shutil.ignore_patterns(
        ".git", ".venv*", ".*_cache", ".hypothesis", ".make", "__pycache__", "lib", "node_modules"
    )
    shutil.copytree(ROOT, copy, ignore=ignored)
    return copy


def build(sources, target):
    """Build without a network: the build tools stand in the test environment."""
    run = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", "dist"]
    subprocess.run(run, cwd=sources, check=True, capture_output=True, timeout=100)
    (built,) = (sources / "dist").glob({"wheel": "*.whl", "sdist": "*.tar.gz"}[target])
    return built


@pytest.fixture(scope="module")
def wheel(sources):
    """Give the names of the wheel's files."""
    with zipfile.ZipFile(build(sources, "wheel")) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def sdist(sources):
    """Give the names of the sdist's files, without the folder that holds them all."""
    with tarfile.open(build(sources, "sdist")) as archive:
        return [name.partition("/")[2] for name in archive.getnames()]


def data_files(wheel):
    """Give the paths that the installer puts below the environment's prefix."""
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
    """The lock file and its settings name no host: a mirror's users can build."""
    text = (FRONT / name).read_text("utf-8")
    assert re.findall(r"https?://\S+|__archiveUrl|npmRegistryServer|resolved", text) == []


def test_the_lock_file_knows_every_platform():
    """Contributors on macOS and Windows find their native bundler in the lock file."""
    text = (FRONT / "yarn.lock").read_text("utf-8")
    bindings = set(re.findall(r'"@rspack/binding-(\w+)', text))
    assert {"darwin", "linux", "win32"} <= bindings


@pytest.mark.slow
def test_the_bundle_is_small(sources, wheel):
    """All scripts of the front end together stay below their budget."""
    scripts = list(sources.glob("jupyter_session_user/labextension/static/*.js"))
    assert scripts
    assert sum(len(gzip.compress(path.read_bytes())) for path in scripts) <= MAX_BUNDLE_BYTES


def test_all_names_of_the_front_end_agree():
    """Lab finds the extension, its settings and its files under one name."""
    (paths,) = jupyter_session_user._jupyter_labextension_paths()
    assert paths == {"src": "labextension", "dest": PACKAGE_JSON["name"]}
    assert f"'{PACKAGE_JSON['name']}:plugin'" in (FRONT / "src/plugins/chip.ts").read_text("utf-8")


def test_the_front_end_has_no_any():
    """Whatever comes from outside is `unknown` until a decoder has looked at it."""
    sources = [path.read_text("utf-8") for path in FRONT.glob("src/**/*.ts")]
    code = [re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL) for text in sources]
    assert [
        found for text in code for found in re.findall(r"[:<|&]\s*any\b|\bas any\b", text)
    ] == []


@pytest.mark.slow
def test_the_wheel_switches_the_extension_on(wheel):
    """Installing is enabling, for the server and for the front end."""
    installed = data_files(wheel)
    assert {SWITCH, f"{ASSETS}/package.json", f"{ASSETS}/install.json"} <= set(installed)
    assert any(re.search(r"static/remoteEntry\.\w+\.js$", name) for name in installed)
    assert any(name.endswith("schemas/jupyter-session-user/plugin.json") for name in installed)


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    """The wheel is typed and licensed, and holds no tests, sources of the front end or caches."""
    assert {"jupyter_session_user/py.typed", "jupyter_session_user/_version.py"} <= set(wheel)
    assert any(name.endswith("licenses/LICENSE") for name in wheel)
    assert [name for name in wheel if name.startswith(FOREIGN) or "__pycache__" in name] == []


@pytest.mark.slow
def test_every_module_is_in_the_wheel(wheel):
    """No plane is forgotten, and no file of an older checkout comes along."""
    modules = {
        path.relative_to(ROOT).as_posix() for path in ROOT.glob("jupyter_session_user/**/*.py")
    }
    assert {name for name in wheel if name.endswith(".py")} == modules


@pytest.mark.slow
def test_the_sdist_needs_no_node(sdist):
    """Built assets travel in the sdist, beside the sources that they were built from."""
    assert "jupyter_session_user/labextension/static/style.js" in sdist
    assert {"labextension/yarn.lock", "labextension/src/index.ts", "LICENSE"} <= set(sdist)
    assert [name for name in sdist if "node_modules" in name or name.startswith(".venv")] == []
