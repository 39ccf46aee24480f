"""The app of these tests: it gets the user in many places, and shows the results."""

import asyncio
import json
import threading

import keeping
import meeting
import streamlit as st
from streamlit.runtime.app_session import AppSession
from streamlit.runtime.scriptrunner import add_script_run_ctx
from who import who

from jupyter_session_user import (
    SessionUserError,
    bind_current_user,
    get_access_token,
    get_cookies,
    get_current_user,
    get_session,
    identity_from_cookie,
)

identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")


def say(**said):
    """Show the observations, for the test to read."""
    st.text(json.dumps(said))


def in_thread(target, attach=lambda thread: thread):
    """Get the user in a thread."""
    said = []
    thread = attach(threading.Thread(target=lambda: said.append(target())))
    thread.start()
    thread.join()
    return said[0]


async def coroutine():
    """Get the user in a separate loop."""
    await asyncio.sleep(0.01)
    return who()


def what_streamlit_says():
    """Return the values that an app would take for an anonymous visitor."""
    return [st.user.to_dict(), st.context.cookies.to_dict()]


def own_token():
    """Return the access token of the visitor's login, or the code of the error."""
    try:
        return str(get_access_token("trino"))
    except SessionUserError as error:
        return error.code


def clicked():
    """Note the user of the click."""
    st.session_state["callback"] = who()


if "login" in st.query_params:
    st.login()
if "meet" in st.query_params:
    meeting.MEETING.wait(60)
if "cache" in st.query_params:
    say(cache=keeping.said())
    st.stop()
if "late" in st.query_params:
    meeting.BEGUN.set()
    meeting.RELEASED.wait(60)
    meeting.NOTES.append(who())
if "begun" in st.query_params:
    meeting.BEGUN.wait(60)
if "release" in st.query_params:
    meeting.RELEASED.set()
    say(notes=meeting.NOTES)
    st.stop()
if "old" in st.query_params:
    matches = AppSession.matches_user_info
    del AppSession.matches_user_info
    try:
        say(main=who())
    finally:
        AppSession.matches_user_info = matches
    st.stop()
if "logout" in st.query_params:
    before = who()
    st.logout()
    say(before=before, after=who(), state=get_session().state)
    st.stop()

user = get_current_user()
say(
    main=who(),
    name=user.name,
    email=user.claims.get("email"),
    asyncio=asyncio.run(coroutine()),
    attached_thread=in_thread(who, add_script_run_ctx),
    bound_thread=in_thread(bind_current_user(who)),
    bare_thread=in_thread(who),
    streamlit_in_bare_thread=in_thread(what_streamlit_says),
    theme=get_cookies().get("theme"),
    token=own_token(),
)
st.button("press", on_click=clicked)


@st.fragment
def part():
    """Run by the fragment's own button."""
    say(fragment=who(), fragment_runs=st.session_state.setdefault("runs", 0))
    st.session_state["runs"] += 1
    st.button("inside", on_click=clicked)
    say(callback=st.session_state.get("callback"))


part()
