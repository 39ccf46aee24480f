"""The displays: ``%whoami``, and users and sessions in a cell."""

from __future__ import annotations

import pytest

EVIL = "<script>alert(1)</script>"
OBJECTS = ["get_current_user()", "get_session()", "%whoami"]


def test_whoami(alice, bob):
    """``%whoami`` shows the session of the cell's sender, not of the user that registered it."""
    for person, name in ((alice, "alice"), (bob, "bob")):
        shown = person.run("%whoami").shown
        assert f"username='{name}'" in shown["text/plain"]
        assert "verified=True" in shown["text/plain"]
        assert f"<b>{name}</b>" in shown["text/html"]
        assert "verified by test" in shown["text/html"]


def test_whoami_without_a_user(kernel, alice):
    """If the user cannot be determined, ``%whoami`` prints the reason and raises nothing."""
    alice.run("who()")
    result = kernel.client().run("%whoami")
    assert result.reply["status"] == "ok"
    assert "not pass through Jupyter Server" in result.stdout


def test_load_ext(alice, bob):
    """``%load_ext`` and ``%reload_ext`` on a loaded package change no user's identity."""
    assert alice.run("%load_ext jupyter_session_user\nwho()").value == "alice"
    assert bob.run("%reload_ext jupyter_session_user\nwho()").value == "bob"
    assert alice.run("(who(), await asyncio.sleep(0, who()))").value == ("alice", "alice")


@pytest.mark.parametrize("code", OBJECTS)
def test_html_is_escaped(kernel, alice, code):
    """No field of a provider becomes markup in a shared notebook."""
    mallory = kernel.person(EVIL, name=EVIL, display_name=EVIL, initials="<i>", groups=(EVIL,))
    html = mallory.run(code).shown["text/html"]
    assert "<script" not in html
    assert "<i>" not in html
    assert "&lt;script&gt;" in html
    assert "<script" not in alice.run(code).shown["text/html"]


@pytest.mark.parametrize("code", OBJECTS)
def test_text_has_no_control_characters(kernel, alice, code):
    """A name cannot move the cursor, nor add a line that looks like another user's."""
    mallory = kernel.person("m\x1b[2J\nUser(username='alice')\r")
    text = mallory.run(code).shown["text/plain"]
    assert "\x1b" not in text
    assert "\r" not in text
    assert "\nUser" not in text


def test_dangerous_avatar(kernel, alice):
    """An invalid avatar address is not put into the page."""
    mallory = kernel.person("mallory", avatar_url="javascript:alert(1)", color='red"onload="x')
    html = mallory.run("get_current_user()").shown["text/html"]
    assert "javascript" not in html
    assert "onload" not in html
