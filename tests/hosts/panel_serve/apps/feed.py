"""A task of the process: Panel takes none from the app's own file."""

say = None


def scheduled():
    say("scheduled")
