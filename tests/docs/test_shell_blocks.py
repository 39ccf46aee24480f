"""Every shell block of README and the documentation: its commands, files and options exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path

import pytest
from blocks import ROOT, Block, blocks
from needs import has_release

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

reference = pytest.importorskip("reference")

#: Blocks without a language that are no commands: page, a text in it, and what it is.
NO_COMMANDS = {
    ("CONTRIBUTING.md", "src/shared/"): "the folders of the front end",
    ("docs/architecture.md", "① request"): "the flow of a request",
    ("docs/cli.md", "OK      server http"): "output of doctor",
    ("docs/server.md", "ACL SETUSER"): "a command of Redis; tests/store/test_redis.py sends it",
    ("docs/hosts/agents.md", "FIX     jupyter_server_mcp"): "output of doctor",
}
#: Languages that run in no shell and no interpreter, and what checks them.
OTHER = {
    "mermaid": "drawn by the build; tests/core/test_lifecycle.py compares it with the table",
    "diff": "tests/architecture/test_upstream.py reads them",
    "json": "parsed below",
    "yaml": "tests/hosts/hub/test_variants.py runs a Hub with it",
    "nginx": "tests/hosts/test_two_servers.py and tests/flow/test_proxy_identity.py run nginx",
    "postgresql": "tests/databases runs PostgreSQL with it",
    "text": "output",
    "python": "test_code_blocks.py",
}
SHELL = [
    block
    for block in blocks("", "sh", "console", "bash")
    if not any(block.page == page and text in block.text for page, text in NO_COMMANDS)
]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))

#: Commands of the system or of the project's own environment, without options of ours.
_KNOWN = {"cd", "curl", "echo", "export", "helm", "jlpm", "node", "npm", "pip", "source", "twine"}
#: In front of a command, for its environment.
_ASSIGNMENT = re.compile(r"[A-Z_]+=")
_HELP = {"bokeh": ("bokeh", "serve"), "panel": ("panel", "serve")}
#: The release that an option needs; its page says so.
_SINCE = {"--plugins": "panel>=1.5.5"}


def commands(block: Block) -> Iterator[list[str]]:
    """Return the words of each command of a block."""
    text = re.sub(r"\\\n\s*", " ", block.text)
    prompts = "$ " in text
    for line in text.splitlines():
        command = line.partition("$ ")[2] if prompts else line
        if prompts and not line.startswith("$ "):
            continue  # output
        words = shlex.split(command.replace("…", ""), comments=True)
        for part in " ".join(f"{shlex.quote(word)}" for word in words).split("'&&'"):
            command = list(dropwhile(_ASSIGNMENT.match, shlex.split(part)))
            if command:
                yield command


def test_every_block_is_checked():
    """Each language has a check, and no exception is left over."""
    found = {block.language for block in blocks(*_languages())}
    assert found <= {"", "sh", "console", "bash", *OTHER}
    plain = blocks("")
    for page, text in NO_COMMANDS:
        assert any(block.page == page and text in block.text for block in plain), (page, text)


def _languages() -> set[str]:
    from blocks import PAGES

    fence = re.compile(r"^ *```(\S*)$", re.MULTILINE)
    return {name for path in PAGES for name in fence.findall(path.read_text("utf-8"))}


@pytest.mark.parametrize("block", SHELL, ids=str)
def test_the_commands_exist(block, need):
    """Each command is one that exists, with files, targets, settings and options that exist."""
    found = list(commands(block))
    assert found, "no command: if this block is none, say so in NO_COMMANDS"
    for words in found:
        check(words, need)


def check(words: list[str], need) -> None:
    """Check one command."""
    program, *rest = words
    for word in rest:
        path = word.rstrip("/")
        if path.startswith(("examples/", "tests/", "docs/", "labextension")):
            assert (ROOT / path).exists(), word
    if program == "make":
        assert {word for word in rest if "=" not in word} <= TARGETS, words
    elif program == "jupyter":
        check_jupyter(rest)
    elif program == "pip":
        for extras in re.findall(r"jupyter-session-user\[([\w,-]+)\]", " ".join(rest)):
            assert set(extras.split(",")) <= set(PYPROJECT["optional-dependencies"])
    elif program == "python":
        check_python(rest)
    elif program in _HELP:
        check_server(program, rest, need)
    elif program not in _KNOWN:
        where = str(Path(sys.executable).parent)
        need(shutil.which(program, path=where), f"{program} is missing")


def check_server(program: str, words: list[str], need) -> None:
    """Check the options of an app's server."""
    need(shutil.which(program, path=str(Path(sys.executable).parent)), f"{program} is missing")
    options = {word for word in words if word.startswith("--")}
    for option in options & set(_SINCE):
        need(has_release(_SINCE[option]), f"{option} needs {_SINCE[option]}")
    assert options <= set(re.findall(r"--[\w-]+", help_of(program)))


def check_python(words: list[str]) -> None:
    """Check the module or file that is run."""
    if words[:1] == ["-m"] and words[1] == "jupyter_session_user":
        assert words[2] in _HELP
    else:
        assert words[0] in {"-m", "-c"} or (ROOT / words[0]).exists(), words


def check_jupyter(words: list[str]) -> None:
    """Check a command of Jupyter, ours with all options, and each setting on its line."""
    name, *rest = words
    if name == "session-user":
        check_ours(rest)
        return
    assert shutil.which(f"jupyter-{name}", path=str(Path(sys.executable).parent)), name
    for option in re.findall(r"--(\w+)\.(\w+)=", " ".join(rest)):
        assert settings(option[0]).get(option[1]), option


def check_ours(words: list[str]) -> None:
    """Check one of our commands; the synopsis has brackets and placeholders."""
    if words[0].startswith("-"):
        parser = reference._parser()
        options = {each for action in parser._actions for each in action.option_strings}
        assert set(words) - {"|"} <= options, words
        return
    command = reference.actions()[words[0]]
    known = {option for action in command._actions for option in action.option_strings}
    assert {w.strip("[]") for w in words if w.strip("[]").startswith("--")} <= known, words
    if not any(set("[]|") & set(word) for word in words):
        command.parse_args(words[1:])


def settings(section: str) -> dict:
    """Return the settings of a section of Jupyter's configuration."""
    from jupyter_server.auth.identity import IdentityProvider
    from jupyter_server.serverapp import ServerApp

    from jupyter_session_user.testing.demo_identity import DemoIdentityProvider

    if section == "JupyterSessionUser":
        return reference.traits()
    owners = (ServerApp, IdentityProvider, DemoIdentityProvider)
    owner = next(owner for owner in owners if owner.__name__ == section)
    return owner.class_traits(config=True)


def help_of(program: str, cache: dict = {}) -> str:  # noqa: B006 - that is the cache
    """Return the help text of a server's command."""
    if program not in cache:
        command = [sys.executable, "-m", *_HELP[program], "--help"]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=100)
        cache[program] = done.stdout
    return cache[program]


def test_a_wrong_command_is_found(need):
    """A target, an option, a setting or a file that does not exist fails."""
    wrong = (
        "make no-such-target",
        "jupyter session-user sessions --no-such-option",
        "jupyter session-user no-such-command",
        "jupyter server --JupyterSessionUser.no_such_setting=1",
        "pip install 'jupyter-session-user[no-such-extra]'",
        "python examples/no_such_file.py",
    )
    for line in wrong:
        with pytest.raises((AssertionError, KeyError, SystemExit)):
            check(shlex.split(line), need)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_is_json(block):
    """A JSON block can be parsed."""
    import json

    assert json.loads(block.text)
