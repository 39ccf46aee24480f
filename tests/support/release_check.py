"""Check a release: ``make release-check [ARGS=--strict]``.

Builds the sdist, and the wheel from it; checks their versions and texts; and tries the wheel in a
fresh environment of each supported Python that is found, with the newest and the oldest packages.
"""

# ruff: noqa: T201 - it prints for the user of the terminal
from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path

__all__ = ["Report", "main"]

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.10", "3.11", "3.12", "3.13")
#: The environments of each Python: their name, and the constraints of the packages.
KINDS = (("newest", None), ("oldest", ROOT / "constraints" / "oldest.txt"))
TIMEOUT_S = 600

#: What must be there in an environment with the wheel alone.
_ALONE = """
import jupyter_session_user as j
assert j.__version__ == {version!r}, j.__version__
assert all(hasattr(j, name) for name in j.__all__ if name != "SessionBanner")
assert j.get_current_user(default="nobody") == "nobody"
"""


@dataclass
class Report:
    """The lines of the report.

    Attributes:
        strict: Whether a skipped check is a problem, too.
        failed: Whether there was a problem.
    """

    strict: bool
    failed: bool = False

    def ok(self, what: str) -> None:
        """Report a passed check."""
        print(f"OK    {what}", flush=True)

    def skip(self, what: str) -> None:
        """Report a check that could not be made, with the reason."""
        print(f"SKIP  {what}", flush=True)
        self.failed |= self.strict

    def fix(self, what: str) -> None:
        """Report a problem; the text ends with the fix."""
        print(f"FIX   {what}", flush=True)
        self.failed = True

    def expect(self, condition: object, what: str, fix: str) -> None:
        """Report one of the two."""
        if condition:
            self.ok(what)
        else:
            self.fix(f"{what}: {fix}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run all checks; return 0 if there is nothing to fix."""
    parser = argparse.ArgumentParser(
        prog="make release-check ARGS=…", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--strict", action="store_true", help="a skipped check is a problem, too")
    parser.add_argument("--python", action="append", help="only this version, such as 3.12")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="for the two files")
    options = parser.parse_args(argv)
    report = Report(options.strict)
    version = json.loads((ROOT / "labextension/package.json").read_text("utf-8"))["version"]
    shutil.rmtree(options.dist, ignore_errors=True)
    sdist, wheel = build(options.dist)
    check_files(report, sdist, wheel, version)
    for wanted in options.python or PYTHONS:
        python = find_python(wanted)
        if python is None:
            report.skip(f"Python {wanted} is not installed")
            continue
        for kind, constraints in KINDS:
            if kind == "oldest" and wanted != PYTHONS[0]:
                continue  # the oldest releases have no wheels for newer Pythons
            check_environment(report, wheel, version, python, f"{wanted}, {kind}", constraints)
    print("\nNot ready." if report.failed else f"\nReady: {sdist.name}, {wheel.name}")
    return int(report.failed)


def build(dist: Path) -> tuple[Path, Path]:
    """Build the sdist, and the wheel from its contents, as an installer does."""
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(dist), cwd=ROOT)
        (sdist,) = dist.glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            archive.extractall(folder, filter="data")
        (source,) = Path(folder).iterdir()
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(dist), cwd=source)
    (wheel,) = dist.glob("*.whl")
    return sdist, wheel


def check_files(report: Report, sdist: Path, wheel: Path, version: str) -> None:
    """Check names, metadata, and the texts that name the version."""
    report.expect(
        sdist.name == f"jupyter_session_user-{version}.tar.gz"
        and wheel.name == f"jupyter_session_user-{version}-py3-none-any.whl",
        f"both files are of version {version}",
        "set it in labextension/package.json",
    )
    with zipfile.ZipFile(wheel) as archive:
        name = next(n for n in archive.namelist() if n.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    description = metadata.get_payload()
    relative = re.findall(r"\]\((?![a-z]+:|#)[^)]+\)", str(description))
    report.expect(
        not relative,
        "the description's links work on PyPI",
        "set 'repository' in [tool.hatch.metadata.hooks.custom] of pyproject.toml",
    )
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    cited = re.search(r"^version: (.+)$", citation, re.MULTILINE)
    report.expect(
        cited is not None and cited[1] == version,
        f"CITATION.cff is of version {version}",
        "set its 'version'",
    )
    changes = (ROOT / "CHANGELOG.md").read_text("utf-8")
    heading = re.search(r"^## (\S+) \((.+)\)$", changes, re.MULTILINE)
    dated = heading is not None and re.fullmatch(r"\d{4}-\d\d-\d\d", heading[2])
    report.expect(
        heading is not None and heading[1] == version and dated,
        f"the changelog's newest entry is {version}, with its date",
        "replace 'unreleased' by the date, such as 2026-12-31",
    )


def find_python(version: str) -> str | None:
    """Return an interpreter of a version, from the path or from pyenv."""
    root = os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")
    of_pyenv = sorted(map(str, Path(root, "versions").glob(f"{version}.*/bin/python")))
    for name in (f"python{version}", *of_pyenv):
        path = shutil.which(name)
        asked = path and subprocess.run(
            [path, "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=False,
        )
        if asked and asked.stdout.strip() == version:
            return path
    return None


def check_environment(
    report: Report, wheel: Path, version: str, python: str, what: str, constraints: Path | None
) -> None:
    """Install the wheel alone, then with a server; try both."""
    with tempfile.TemporaryDirectory(prefix="release-check-") as folder:
        run(python, "-m", "venv", folder)
        inside = str(Path(folder, "bin", "python"))
        limits = () if constraints is None else ("-c", str(constraints))
        try:
            install(inside, str(wheel))
            run(inside, "-c", _ALONE.format(version=version), cwd=folder)
            report.ok(f"Python {what}: the wheel alone")
            install(inside, f"{wheel}[server]", "ipykernel", *limits)
            run(str(Path(folder, "bin", "jupyter-session-user")), "doctor", cwd=folder)
            rows = asyncio.run(two_users(inside))
        except (subprocess.SubprocessError, RuntimeError, OSError) as error:
            output = getattr(error, "stderr", None) or str(error)
            report.fix(f"Python {what}: {output.strip()[-1500:]}")
            return
        report.expect(
            all(seen == who for who, seen in rows),
            f"Python {what}: two users on one kernel",
            f"the kernel named {rows}",
        )


async def two_users(python: str) -> list[tuple[str, str]]:
    """Return each user of a server, and the name that a cell of theirs got."""
    from local_server import local_server
    from people import Person

    passwords = {"alice": "tea", "bob": "coffee"}
    provider = "jupyter_session_user.testing.demo_identity.DemoIdentityProvider"
    code = "from jupyter_session_user import get_current_user; print(get_current_user().username)"
    rows = []
    with local_server(
        f"--ServerApp.identity_provider_class={provider}",
        "--DemoIdentityProvider.demo=True",
        f"--DemoIdentityProvider.passwords={passwords}",
        command=(python, "-m", "jupyter_server"),
        env={"PYTHONPATH": ""},
    ) as server:
        people = {name: Person(server.url) for name in passwords}
        for name, person in people.items():
            await person.log_in(passwords[name], name)
        kernel_id = await people["alice"].start_kernel()
        for name, person in people.items():
            socket = await person.connect(kernel_id)
            result = await socket.execute(code)
            rows.append((name, result.text.strip() or "; ".join(result.errors)))
            await socket.close()
    return rows


def install(python: str, *packages: str) -> None:
    """Install packages; uv is faster, and pip knows the machine's own indexes."""
    uv = Path(sys.executable).with_name("uv")
    if uv.exists():
        done = subprocess.run(
            [str(uv), "pip", "install", "--quiet", "--python", python, *packages],
            capture_output=True,
            check=False,
            timeout=TIMEOUT_S,
        )
        if done.returncode == 0:
            return
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(python, *pip, *packages)


def run(*command: str, cwd: Path | str | None = None) -> str:
    """Run a command; its output is in the error if it fails."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=cwd, env=environ, capture_output=True, text=True, check=True, timeout=TIMEOUT_S
    )
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
