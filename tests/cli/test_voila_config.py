"""``enable`` and ``disable`` add and remove our keys in ``voila.json``, and change nothing else."""

from __future__ import annotations

import json

import pytest

MODULE = "jupyter_session_user.server.voila"
OURS = {
    "Voila": {"kernel_websocket_connection_class": f"{MODULE}.SessionUserConnection"},
    "VoilaConfiguration": {"multi_kernel_manager_class": f"{MODULE}.SessionUserKernelManager"},
}
THEIRS = {
    "VoilaConfiguration": {
        "theme": "dark",
        "file_allowlist": [".*\\.png"],
        "show_tracebacks": True,
    },
    "TagRemovePreprocessor": {"remove_cell_tags": ["schnøde", "\ud800"]},
    "Voila": {},
    "Numbers": {"small": 1e-300, "large": 2**70, "none": None},
}


@pytest.mark.parametrize(("option", "name"), [("--sys-prefix", "system"), ("--user", "user")])
def test_enable_writes_one_file_and_disable_removes_it(machine, option, name):
    """Each command writes the given file, prints it, and may be repeated."""
    here = machine()
    path = getattr(here, f"{name}_file")
    other = here.user_file if name == "system" else here.system_file
    first, second = (here.run("enable", "voila", option) for _ in range(2))
    assert (first.returncode, first.stdout) == (0, f"{path}: written\n")
    unchanged = "no change, Voila is enabled already"
    assert (second.returncode, second.stdout) == (0, f"{path}: {unchanged}\n")
    assert json.loads(path.read_text()) == OURS
    assert not other.exists()
    first, second = (here.run("disable", "voila", option) for _ in range(2))
    unchanged = "no change, Voila is disabled already"
    assert (first.returncode, first.stdout) == (0, f"{path}: keys removed\n")
    assert (second.returncode, second.stdout) == (0, f"{path}: {unchanged}\n")
    assert list(path.parent.glob("voila*")) == []


def test_without_an_option_a_virtual_environment_is_preferred(machine):
    """The default is Jupyter's own preference, which a variable reverses."""
    here = machine()
    assert here.run("enable", "voila").stdout == f"{here.system_file}: written\n"
    answer = here.run("enable", "voila", JUPYTER_PREFER_ENV_PATH="0")
    assert answer.stdout == f"{here.user_file}: written\n"


def test_what_was_there_stays_as_it_was(machine):
    """Other sections, other keys, odd values, mode and link are kept by both commands."""
    here = machine()
    real = here.home / "dotfiles.json"
    real.write_text(json.dumps(THEIRS), encoding="utf-8")
    real.chmod(0o640)
    here.user_file.parent.mkdir(parents=True)
    here.user_file.symlink_to(real)
    assert here.run("enable", "voila", "--user").returncode == 0
    both = json.loads(here.user_file.read_text())
    assert both == {**THEIRS, **{s: {**THEIRS.get(s, {}), **v} for s, v in OURS.items()}}
    assert list(both) == list(THEIRS)  # in the original order
    assert here.run("disable", "voila", "--user").returncode == 0
    assert here.user_file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    left = json.loads(real.read_text())
    assert left == {k: v for k, v in THEIRS.items() if v}  # an empty section has no effect


def test_an_unchanged_file_is_not_written(machine):
    """Enabling twice, or disabling without enabling, changes no byte."""
    here = machine()
    here.user_file.parent.mkdir(parents=True)
    for config, command in ((OURS, "enable"), (THEIRS, "disable")):
        text = json.dumps(config, indent=7)
        here.user_file.write_text(text)
        before = here.user_file.stat().st_mtime_ns
        assert here.run(command, "voila", "--user").returncode == 0
        assert here.user_file.read_text() == text
        assert here.user_file.stat().st_mtime_ns == before


def test_another_class_is_refused_and_left_alone(machine):
    """The file can have one class only: ``enable`` names both classes and the fix."""
    here = machine()
    text = '{"VoilaConfiguration": {"multi_kernel_manager_class": "theirs.Manager"}}'
    here.user_file.parent.mkdir(parents=True)
    here.user_file.write_text(text)
    answer = here.run("enable", "voila", "--user")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == (
        f"jupyter session-user: {here.user_file} sets VoilaConfiguration."
        "multi_kernel_manager_class to 'theirs.Manager' already, and only one class is possible. "
        f"Remove it, or derive that class from ours: {MODULE}.SessionUserKernelManager\n"
    )
    assert here.user_file.read_text() == text
    assert here.run("disable", "voila", "--user").returncode == 0
    assert here.user_file.read_text() == text  # another package's key must stay


@pytest.mark.parametrize("command", ["enable", "disable"])
@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b'{"Voila": ', "is not JSON"),
        (b"\xff\xfe{", "is not JSON"),
        (b"[]", "is not an object of sections"),
        (b'{"Voila": "yes"}', "is not an object of sections"),
    ],
    ids=["cut", "bytes", "list", "text"],
)
def test_a_broken_file_is_refused_untouched(machine, command, data, word):
    """A broken file is not overwritten: the error names the file and the fix."""
    here = machine()
    here.user_file.parent.mkdir(parents=True)
    here.user_file.write_bytes(data)
    answer = here.run(command, "voila", "--user")
    assert answer.returncode == 2
    assert f"{here.user_file} {word}" in answer.stderr
    assert answer.stderr.endswith("; fix the file first\n") and "Traceback" not in answer.stderr
    assert here.user_file.read_bytes() == data


def test_a_folder_that_cannot_be_written_is_an_error_and_no_traceback(machine):
    """The error is one line with the path, and the exit status is 2."""
    here = machine()
    (here.home / "config").write_text("a file where the folder should be")
    answer = here.run("enable", "voila", "--user")
    assert answer.returncode == 2
    assert answer.stderr.startswith("jupyter session-user: ")
    assert str(here.user_file) in answer.stderr and answer.stderr.count("\n") == 1


def test_help_says_what_each_command_does(machine):
    """Each command has a help text; two places, another host, or no command are refused."""
    here = machine()
    assert all(word in here.run("--help").stdout for word in ("enable", "disable", "doctor"))
    for command in ("enable", "disable"):
        text = here.run(command, "--help").stdout
        assert all(word in text for word in ("voila.json", "--sys-prefix", "--user"))
    assert "--json" in here.run("doctor", "--help").stdout
    for wrong in (["enable", "voila", "--user", "--sys-prefix"], ["enable", "panel"], []):
        answer = here.run(*wrong)
        assert answer.returncode == 2 and answer.stderr.startswith("usage: ")


def test_jupyter_finds_the_command(machine):
    """The console script has the name that ``jupyter session-user`` looks for."""
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="jupyter-session-user")
    assert script.load().__module__ == "jupyter_session_user.cli"
