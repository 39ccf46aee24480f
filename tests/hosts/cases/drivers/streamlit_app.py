"""The app of the driver for Streamlit."""

import json
import threading
import time

import shared
import streamlit as st
from outcome import outcome
from streamlit.runtime.scriptrunner import add_script_run_ctx

from jupyter_session_user import bind_current_user, identity_from_cookie

VERSION = "old"
identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")


def say(**said):
    """Show the observations, for the test to read."""
    st.text(json.dumps(said))


def in_thread(function):
    found = []
    thread = threading.Thread(target=lambda: found.append(function()))
    thread.start()
    thread.join()
    return found[0]


def clicked():
    st.session_state["callback"] = outcome()


def begin():
    """Start a thread with this run's context, which asks after the run."""
    found, over = [], threading.Event()

    def later():
        over.wait()
        found.append(outcome())

    thread = add_script_run_ctx(threading.Thread(target=later))
    thread.start()
    st.session_state["task"] = thread, over, found


def end():
    thread, over, found = st.session_state["task"]
    over.set()
    thread.join()
    say(outliving=found[0])


@st.cache_data
def cached():
    return shared.warned()


def parts():
    yield "by "
    time.sleep(0.05)
    st.session_state["generator"] = outcome()
    yield st.session_state["generator"]


st.button("press", on_click=clicked)
st.button("begin", on_click=begin)
st.button("end", on_click=end)
st.write_stream(parts)
say(
    page=outcome(),
    callback=st.session_state.get("callback"),
    generator=st.session_state["generator"],
    thread=in_thread(outcome),
    bound_thread=in_thread(bind_current_user(outcome)),
    pool=shared.POOL.submit(bind_current_user(outcome)).result(),
    cache=cached(),
    version=VERSION,
)


@st.fragment(run_every=0.2)
def part():
    """Run by the browser's timer; here a press of its button triggers it."""
    st.button("tick")
    say(periodic=outcome())


part()
