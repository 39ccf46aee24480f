"""A Gradio app that greets its visitor by name. To start it, see docs/hosts/gradio.md."""

import gradio as gr

from jupyter_session_user import get_current_user, require_user

BOOKINGS = {
    "alice": [["Mon 09:00", "Spectrometer", "2 h"], ["Wed 14:00", "Clean room", "4 h"]],
    "bob": [["Tue 10:00", "Microscope", "1 h"], ["Thu 09:00", "Spectrometer", "3 h"]],
}
NAMES = {"alice": "Alice Adams", "bob": "Bob Brown"}


def page():
    username = get_current_user().username
    return f"# Hello, {NAMES[username]}", BOOKINGS[username]


def click():
    with require_user() as user:
        return f"{NAMES[user.username]} ({user.username}) clicked."


def log_in(username, password):
    """Accept the username as the password: this login is for a demo only."""
    return username in NAMES and password == username


with gr.Blocks(title="Visitors") as demo:
    greeting = gr.Markdown()
    bookings = gr.Dataframe(headers=["When", "What", "How long"], label="Your bookings")
    said = gr.Markdown("Nobody has clicked yet.")
    gr.Button("Who clicks?").click(click, None, said)
    demo.load(page, None, [greeting, bookings])

if __name__ == "__main__":
    demo.launch(auth=log_in, auth_message="Log in as alice or bob. The password is the name.")
