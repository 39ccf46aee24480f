"""Values that an app keeps for all visitors or for one, and the warnings of calls in them."""

import functools
import warnings

import streamlit as st

from jupyter_session_user import SharedResultWarning, get_current_user


def warned():
    """Return the number of warnings from a call here."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        get_current_user()
    return len([each for each in seen if each.category is SharedResultWarning])


@st.cache_data(show_spinner=False)
def data(number):
    """Get the user while Streamlit fills a cache."""
    return warned()


@st.cache_resource(show_spinner=False)
def resource():
    """Get the user while Streamlit fills its other cache."""
    return warned()


@functools.lru_cache
def kept():
    """Get the user while Python fills a cache."""
    return warned()


@st.cache_data(show_spinner=False)
def told(username):
    """Get the user if the cache keeps one result for each user."""
    return warned()


def said():
    """Return the warnings of each."""
    me = get_current_user().username
    return {
        "data": data(1),
        "once": data(2),
        "resource": resource(),
        "lru_cache": kept(),
        "told": told(me),
        "outside": warned(),
    }
