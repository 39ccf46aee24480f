"""A Streamlit app that greets its visitor by name. To start it, see docs/hosts/streamlit.md."""

import base64
import json

import streamlit as st

from jupyter_session_user import get_current_user, identity_from_cookie

BOOKINGS = {
    "alice": [("Mon 09:00", "Spectrometer", "2 h"), ("Wed 14:00", "Clean room", "4 h")],
    "bob": [("Tue 10:00", "Microscope", "1 h"), ("Thu 09:00", "Spectrometer", "3 h")],
}
PEOPLE = {"alice": "Alice Adams", "bob": "Bob Brown"}

# Without st.login, the platform's cookie names the user. Any client can write such a cookie.
identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")

st.set_page_config(page_title="Visitors")


def sign_in(username):
    """Act as the platform: set its cookie in the browser, and reload the page."""
    said = json.dumps({"user_id": username, "user_full_name": PEOPLE[username]})
    cookie = f"numerous_user_info={base64.b64encode(said.encode()).decode()}; path=/; SameSite=Lax"
    script = f"parent.document.cookie = {json.dumps(cookie)}; parent.location.reload()"
    st.components.v1.html(f"<script>{script}</script>", height=0)


def click():
    # Call it again here: in a callback, the current user is the user of the click.
    user = get_current_user()
    st.session_state["clicked"] = f"{user.display_name} ({user.username}) clicked."


visitor = get_current_user()

if visitor.is_anonymous:
    st.title("Who are you?")
    for username, name in PEOPLE.items():
        if st.button(name):
            sign_in(username)
    st.stop()

st.title(f"Hello, {visitor.display_name}")
if rows := BOOKINGS.get(visitor.username):
    st.write("Your bookings:")
    st.table([dict(zip(("When", "What", "How long"), row, strict=True)) for row in rows])
else:
    st.write("You have no bookings.")
st.button("Who clicks?", on_click=click, type="primary")
st.text(st.session_state.get("clicked", "Nobody has clicked yet."))
