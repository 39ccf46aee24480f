import streamlit as st
from people import IN_CALLBACK, REPORT

from jupyter_session_user import identity_from_cookie, require_user

identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")
# The platform's cookie has no groups, and nobody has checked it.
allowed = require_user(groups="finance", usernames="alice", allow_unverified=True)


@allowed
def report():
    return REPORT


def book():
    st.session_state.shown = report()


if IN_CALLBACK:
    st.button("Book", on_click=book)
    st.text(st.session_state.get("shown", ""))
else:
    st.text(report())
