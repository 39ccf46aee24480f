"""A marimo notebook that greets its visitor by name. To start it, see docs/hosts/marimo.md."""

import marimo

app = marimo.App(app_title="Visitors")


@app.cell
def _():
    import base64
    import json

    import marimo as mo

    from jupyter_session_user import get_current_user, identity_from_cookie

    # marimo has no named users, so the platform's cookie names them. Any client can write one.
    identity_from_cookie("numerous_user_info", username="user_id", name="user_full_name")

    bookings = {
        "alice": [("Mon 09:00", "Spectrometer", "2 h"), ("Wed 14:00", "Clean room", "4 h")],
        "bob": [("Tue 10:00", "Microscope", "1 h"), ("Thu 09:00", "Spectrometer", "3 h")],
    }
    people = {"alice": "Alice Adams", "bob": "Bob Brown"}
    return bookings, people, base64, get_current_user, json, mo


@app.cell
def _(people, base64, json, mo):
    def sign_in(username):
        """Return a frame that acts as the platform: it sets the cookie and reloads the page."""
        said = json.dumps({"user_id": username, "user_full_name": people[username]})
        value = base64.b64encode(said.encode()).decode()
        cookie = f"numerous_user_info={value}; path=/; SameSite=Lax"
        script = f"parent.document.cookie = {json.dumps(cookie)}; parent.location.reload()"
        return mo.iframe(f"<script>{script}</script>", height="1px")

    return (sign_in,)


@app.cell
def _(people, get_current_user, mo):
    visitor = get_current_user()
    someone = mo.ui.dropdown({people[name]: name for name in people}, label="Who are you?")
    someone if visitor.is_anonymous else mo.md(f"# Hello, {visitor.display_name}")
    return someone, visitor


@app.cell
def _(bookings, mo, sign_in, someone, visitor):
    mo.stop(visitor.is_anonymous, sign_in(someone.value) if someone.value else None)
    rows = [
        dict(zip(("When", "What", "How long"), row, strict=True))
        for row in bookings.get(visitor.username, [])
    ]
    mo.ui.table(rows, selection=None, label="Your bookings") if rows else "You have no bookings."
    return


@app.cell
def _(get_current_user, mo):
    get_clicked, set_clicked = mo.state("Nobody has clicked yet.")

    def click(_value):
        # Call it again here: in a callback, the current user is the user of the click.
        user = get_current_user()
        set_clicked(f"{user.display_name} ({user.username}) clicked.")

    button = mo.ui.button(label="Who clicks?", kind="success", on_change=click)
    return button, get_clicked


@app.cell
def _(button, get_clicked, mo, visitor):
    mo.stop(visitor.is_anonymous)
    mo.vstack([button, mo.plain_text(get_clicked())])
    return


if __name__ == "__main__":
    app.run()
