"""``disable`` and ``enable`` add and remove one key in ``voila.json``, and change nothing else."""

from __future__ import annotations

import json

import pytest
from servers import ROOT

SCRIPT = ROOT / "jupyter_session_user" / "_data" / "jupyter-config" / "voila.py.txt"

MANAGER = "jupyter_session_user.server.voila.SessionUserKernelManager"
DEFAULT = "jupyter_server.services.kernels.kernelmanager.AsyncMappingKernelManager"
OFF = {"VoilaConfiguration": {"multi_kernel_manager_class": DEFAULT}}
OFF_SAID = "standalone Voila runs without this package; restart Voila"
ON_SAID = "standalone Voila uses this package; restart Voila"
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


@pytest.fixture
def installed(machine):
    """A machine with the ``voila.py`` that the wheel installs."""
    here = machine()
    here.install_voila_file()
    return here


@pytest.mark.parametrize(("option", "name"), [("--sys-prefix", "system"), ("--user", "user")])
def test_disable_writes_one_file_and_enable_removes_it(installed, option, name):
    """Each command changes the given file, prints it and what to restart, and may be repeated."""
    here = installed
    path = getattr(here, f"{name}_file")
    other = here.user_file if name == "system" else here.system_file
    first, second = (here.run("disable", "voila", option) for _ in range(2))
    assert (first.returncode, first.stdout) == (0, f"{path}: {OFF_SAID}\n")
    unchanged = "no change, Voila is disabled already"
    assert (second.returncode, second.stdout) == (0, f"{path}: {unchanged}\n")
    assert json.loads(path.read_text()) == OFF
    assert not other.exists()
    first, second = (here.run("enable", "voila", option) for _ in range(2))
    unchanged = "no change, Voila is enabled already"
    assert (first.returncode, first.stdout) == (0, f"{path}: {ON_SAID}\n")
    assert (second.returncode, second.stdout) == (0, f"{path}: {unchanged}\n")
    assert list(path.parent.glob("voila.json*")) == []


def test_no_command_names_a_class_of_ours_in_json(machine):
    """Voila would not start with such a file after ``pip uninstall``."""
    here = machine()
    for command in ("enable", "disable", "enable"):
        for option in ("--user", "--sys-prefix"):
            here.run(command, "voila", option)
            for path in here.home.parent.rglob("voila.json"):
                assert "jupyter_session_user" not in path.read_text()


def test_enable_writes_the_script_where_the_wheel_did_not(machine):
    """The script is that of the wheel; another ``voila.py`` is not changed."""
    here = machine()
    script = here.user_file.with_name("voila.py")
    assert here.run("enable", "voila", "--user").stdout == f"{here.user_file}: {ON_SAID}\n"
    assert script.read_bytes() == SCRIPT.read_bytes()
    script.write_text("c.Voila.port = 8866")
    answer = here.run("enable", "voila", "--user")
    assert answer.returncode == 2 and f"{script} is there already" in answer.stderr
    assert str(SCRIPT) in answer.stderr
    assert script.read_text() == "c.Voila.port = 8866"


def test_another_file_that_switches_it_off_is_named(installed):
    """``enable`` of one file says which other file has the key."""
    here = installed
    assert here.run("disable", "voila", "--user").returncode == 0
    answer = here.run("enable", "voila", "--sys-prefix")
    assert answer.returncode == 2
    assert f"{here.user_file} switches it off as well" in answer.stderr
    assert "run 'jupyter session-user enable voila --user'" in answer.stderr


def test_without_an_option_a_virtual_environment_is_preferred(installed):
    """The default is Jupyter's own preference, which a variable reverses."""
    here = installed
    assert here.run("disable", "voila").stdout == f"{here.system_file}: {OFF_SAID}\n"
    answer = here.run("disable", "voila", JUPYTER_PREFER_ENV_PATH="0")
    assert answer.stdout == f"{here.user_file}: {OFF_SAID}\n"


def test_what_was_there_stays_as_it_was(installed):
    """Other sections, other keys, odd values, mode and link are kept by both commands."""
    here = installed
    real = here.home / "dotfiles.json"
    real.write_text(json.dumps(THEIRS), encoding="utf-8")
    real.chmod(0o640)
    here.user_file.parent.mkdir(parents=True)
    here.user_file.symlink_to(real)
    assert here.run("disable", "voila", "--user").returncode == 0
    both = json.loads(here.user_file.read_text())
    assert both == {**THEIRS, **{s: {**THEIRS.get(s, {}), **v} for s, v in OFF.items()}}
    assert list(both) == list(THEIRS)  # in the original order
    assert here.run("enable", "voila", "--user").returncode == 0
    assert here.user_file.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o640
    left = json.loads(real.read_text())
    assert left == THEIRS


def test_an_unchanged_file_is_not_written(installed):
    """Disabling twice, or enabling without disabling, changes no byte."""
    here = installed
    here.user_file.parent.mkdir(parents=True)
    for config, command in ((OFF, "disable"), (THEIRS, "enable")):
        text = json.dumps(config, indent=7)
        here.user_file.write_text(text)
        before = here.user_file.stat().st_mtime_ns
        assert here.run(command, "voila", "--user").returncode == 0
        assert here.user_file.read_text() == text
        assert here.user_file.stat().st_mtime_ns == before


def test_another_class_is_left_alone(installed):
    """There can be one class only: ``enable`` names both classes, the file and the fix."""
    here = installed
    text = '{"VoilaConfiguration": {"multi_kernel_manager_class": "theirs.Manager"}}'
    here.user_file.parent.mkdir(parents=True)
    here.user_file.write_text(text)
    answer = here.run("enable", "voila", "--user")
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == (
        f"jupyter session-user: {here.user_file} sets VoilaConfiguration."
        "multi_kernel_manager_class to 'theirs.Manager', and only one class is possible. "
        f"Remove it, or derive that class from ours: {MANAGER}\n"
    )
    assert here.user_file.read_text() == text
    assert here.run("disable", "voila", "--user").returncode == 0
    assert here.user_file.read_text() == text  # another package's key must stay


@pytest.mark.parametrize(("command", "left"), [("disable", OFF), ("enable", None), ("purge", None)])
def test_a_class_of_ours_does_not_stay_in_a_file(installed, command, left):
    """Voila would not start after an uninstall: each command takes the name out of the file."""
    here = installed
    here.user_file.parent.mkdir(parents=True)
    ours = {"VoilaConfiguration": {"multi_kernel_manager_class": MANAGER}}
    here.user_file.write_text(json.dumps(ours))
    options = ("--yes",) if command == "purge" else ("voila", "--user")
    assert here.run(command, *options).returncode == 0
    assert (json.loads(here.user_file.read_text()) if here.user_file.exists() else None) == left


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


def test_a_folder_that_cannot_be_written_is_an_error_and_no_traceback(installed):
    """The error is one line with the path, and the exit status is 2."""
    here = installed
    (here.home / "config").write_text("a file where the folder should be")
    answer = here.run("disable", "voila", "--user")
    assert answer.returncode == 2
    assert answer.stderr.startswith("jupyter session-user: ")
    assert str(here.user_file) in answer.stderr and answer.stderr.count("\n") == 1


def test_help_says_what_each_command_does(machine):
    """Each command has a help text; two places, another host, or no command are refused."""
    here = machine()
    assert all(word in here.run("--help").stdout for word in ("enable", "disable", "doctor"))
    for command in ("enable", "disable"):
        text = here.run(command, "--help").stdout
        assert all(word in text for word in ("voila", "--sys-prefix", "--user"))
    assert "--json" in here.run("doctor", "--help").stdout
    for wrong in (["enable", "voila", "--user", "--sys-prefix"], ["enable", "panel"], []):
        answer = here.run(*wrong)
        assert answer.returncode == 2 and answer.stderr.startswith("usage: ")


def test_jupyter_finds_the_command(machine):
    """The console script has the name that ``jupyter session-user`` looks for."""
    from importlib.metadata import entry_points

    (script,) = entry_points(group="console_scripts", name="jupyter-session-user")
    assert script.load().__module__ == "jupyter_session_user.cli"


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["sesions"], "sessions"),
        (["sessions", "--jsno"], "--json"),
        (["sessions", "--wach"], "--watch"),
        (["revoke", "--usr", "bob"], "--user"),
        (["enable", "voilla"], "voila"),
        (["purge", "--yess"], "--yes"),
    ],
)
def test_a_mistyped_word_gets_a_suggestion(machine, words, meant):
    """The error ends with the command or option that was meant; a strange word gets none."""
    answer = machine().run(*words)
    assert answer.returncode == 2
    assert answer.stderr.endswith(f"Did you mean {meant!r}?\n")


def test_a_strange_word_gets_no_suggestion(machine):
    """Nothing is near it."""
    answer = machine().run("xyzzy")
    assert answer.returncode == 2 and "Did you mean" not in answer.stderr


def test_version(machine):
    """``--version`` prints the installed release."""
    import jupyter_session_user

    answer = machine().run("--version")
    assert (answer.returncode, answer.stdout) == (
        0,
        f"jupyter-session-user {jupyter_session_user.__version__}\n",
    )


def test_every_setting_has_its_help(machine):
    """``--help-all`` and ``--generate-config`` have each setting; the latter is valid Python."""
    from jupyter_session_user.server.settings import Settings

    here = machine()
    whole, config = here.run("--help-all"), here.run("--generate-config")
    assert (whole.returncode, config.returncode) == (0, 0)
    names = set(Settings.class_traits(config=True))
    assert names
    for name in names:
        assert f"--JupyterSessionUser.{name}=" in whole.stdout
        assert f"# c.JupyterSessionUser.{name} = " in config.stdout
    compile(config.stdout, "config", "exec")
    # Uncommented, the defaults can be read again.
    lines = [line[2:] for line in config.stdout.splitlines() if line.startswith("# c.")]
    assert len(lines) == len(names)
