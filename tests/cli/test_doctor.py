"""``doctor`` reports the working parts, and a fix for each part that does not work."""

from __future__ import annotations

import json

import pytest
from needs import need

pytest.importorskip("ipykernel")

MANAGER = "jupyter_session_user.server.voila.SessionUserKernelManager"


def on(where) -> None:
    """Configure a machine so that every check passes."""
    where.enable_server()
    where.install_voila_file()


def test_a_machine_where_all_is_well(machine):
    """Every line is OK and the exit status is 0, as text and as JSON."""
    import importlib.util

    need(importlib.util.find_spec("voila"), "Voila is not installed")
    here = machine()
    on(here)
    findings, status = here.doctor()
    assert {verdict for verdict, _ in findings.values()} == {"ok"}
    assert list(findings) == ["jupyter_server", "kernel python3", "jupyterlab", "voila", "panel"]
    assert findings["voila"][1].endswith(", standalone and as a server extension")
    assert status == 0
    told = here.run("doctor")
    assert told.returncode == 0 and not told.stderr
    lines = [f"{v.upper():6}  {what}: {text}" for what, (v, text) in findings.items()]
    assert told.stdout.splitlines() == lines


def test_a_server_without_the_extension(machine):
    """The finding ends with the command that enables the extension, and the status is 1."""
    here = machine()
    here.install_voila_file()
    findings, status = here.doctor()
    verdict, text = findings["jupyter_server"]
    assert (verdict, status) == ("fix", 1)
    assert text.endswith("; run 'jupyter server extension enable jupyter_session_user'")


def test_a_disabled_labextension(machine):
    """The finding says what is missing, and its fix works, for the extension and for a plugin."""
    import importlib.util

    need(importlib.util.find_spec("jupyterlab"), "jupyterlab is missing")
    here = machine("voila", "panel")
    here.enable_server()
    for name in ("jupyter-session-user", "jupyter-session-user:plugin"):
        here.labextension("disable", name)
        findings, status = here.doctor()
        verdict, text = findings["jupyterlab"]
        assert (verdict, status) == ("fix", 1)
        fix = f"jupyter labextension enable {name}"
        assert text == f"{name} is disabled, so a login that ends is not shown; run '{fix}'"
        here.labextension(*fix.split()[2:])
        assert here.doctor()[0]["jupyterlab"][0] == "ok"


def test_a_labextension_that_is_missing(machine):
    """Without its files the finding ends with the command that installs them."""
    import importlib.util

    need(importlib.util.find_spec("jupyterlab"), "jupyterlab is missing")
    here = machine("voila", "panel")
    verdict, text = here.doctor()[0]["jupyterlab"]
    assert verdict == "fix"
    assert text.endswith("-m pip install --force-reinstall --no-deps jupyter-session-user'")


def test_hosts_that_are_not_installed_are_nothing_to_mend(machine):
    """Voila and Panel are optional."""
    here = machine("voila", "panel", "jupyterlab")
    here.enable_server()
    findings, status = here.doctor()
    hosts = [findings[name] for name in ("voila", "panel", "jupyterlab")]
    assert hosts == [("absent", "not installed")] * 3
    assert status == 0


@pytest.mark.parametrize(
    ("name", "old", "oldest"),
    [("jupyter_server", "2.15.9", "2.16"), ("voila", "0.4.6", "0.5"), ("panel", "1.4.5", "1.5")],
)
def test_a_host_that_is_too_old(machine, fake_release, name, old, oldest):
    """The finding has the installed version, and the command that installs a newer one."""
    here = machine()
    on(here)
    findings, status = here.doctor(PYTHONPATH=fake_release(name, old))
    fix = f"{old} is too old; run 'pip install --upgrade \"{name}>={oldest}\"'"
    assert findings[name] == ("fix", fix)
    assert status == 1


def test_a_release_without_a_private_name(machine, tmp_path):
    """The finding has the release, and the names that it lacks."""
    here = machine()
    on(here)
    (tmp_path / "sitecustomize.py").write_text(
        "from jupyter_server.auth.identity import IdentityProvider\n"
        "IdentityProvider.is_token_authenticated = lambda self, handler: False\n"
    )
    findings, status = here.doctor(PYTHONPATH=str(tmp_path))
    verdict, text = findings["jupyter_server"]
    assert verdict == "fix"
    assert "auth.identity:IdentityProvider.is_token_authenticated (_token_authenticated)" in text
    assert "Install a release of jupyter-session-user that supports jupyter_server" in text
    assert status == 1


def test_each_kernel_is_asked_in_its_own_environment(machine, fake_release, bare_python):
    """A missing package, an old ipykernel, another language and a bad argv have own findings."""
    here = machine("voila", "panel")
    here.enable_server()
    bare = bare_python
    old = fake_release("ipykernel", "6.28.0")
    here.add_kernel("bare", bare, "-m", "ipykernel_launcher")
    here.add_kernel("old", here.python, env={"PYTHONPATH": f"{old}:${{PYTHONPATH}}"})
    here.add_kernel("good", here.python, env={"EDITOR": "vi"})
    here.add_kernel("julia", "julia", "--project", language="julia")
    here.add_kernel("gone", "/no/such/python")
    here.add_kernel("silent", "/bin/true")
    here.add_kernel("failing", "/bin/false")
    here.add_kernel("list", "/bin/echo", "{connection_file}")
    here.add_kernel("nothing")
    findings, status = here.doctor()
    kernels = {k.removeprefix("kernel "): v for k, v in findings.items() if k.startswith("kernel")}
    fix = "; fix or remove the kernelspec"
    assert kernels.pop("good")[0] == kernels.pop("python3")[0] == "ok"
    assert kernels == {
        "bare": (
            "fix",
            f"the package is not installed there; run '{bare} -m pip install jupyter-session-user'",
        ),
        "failing": ("fix", f"/bin/false does not run Python code (CalledProcessError){fix}"),
        "gone": ("fix", f"/no/such/python does not run Python code (FileNotFoundError){fix}"),
        "julia": ("absent", "julia: the package is for Python kernels"),
        "list": ("fix", f"/bin/echo does not run Python code (JSONDecodeError){fix}"),
        "nothing": ("fix", "its argv is empty; fix or remove the kernelspec"),
        "old": (
            "fix",
            f"ipykernel 6.28.0 is too old; run '{here.python} -m pip install --upgrade ipykernel'",
        ),
        "silent": ("fix", f"/bin/true does not run Python code (IndexError){fix}"),
    }
    assert status == 1


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("{}", "standalone 'voila' is not enabled; run 'jupyter session-user enable voila'"),
        (
            '{"VoilaConfiguration": {"multi_kernel_manager_class": "theirs.Manager"}}',
            f"; remove it, or derive that class from {MANAGER}",
        ),
        ("{", "; fix the file first"),
    ],
    ids=["not enabled", "another class", "broken"],
)
def test_standalone_voila_that_would_not_work(machine, text, end):
    """Without our keys, with another class or a broken file, the finding names the fix."""
    here = machine()
    here.enable_server()
    if text != "{}":
        here.install_voila_file()
    here.user_file.parent.mkdir(parents=True)
    here.user_file.write_text(text)
    findings, status = here.doctor(JUPYTER_PREFER_ENV_PATH="0")
    verdict, said = findings["voila"]
    assert (verdict, status) == ("fix", 1)
    assert "works as a server extension; " in said
    assert said.endswith(end)


def test_json_has_nothing_but_json(machine):
    """A program reads a list of objects with three texts."""
    here = machine()
    found = json.loads(here.run("doctor", "--json").stdout)
    assert all(set(f) == {"what", "verdict", "text"} for f in found)
    assert all(isinstance(value, str) for f in found for value in f.values())
