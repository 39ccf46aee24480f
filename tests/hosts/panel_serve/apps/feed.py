"""A task of the process: Panel does not accept one from the app's own file."""

say = None


def scheduled():
    say("scheduled")
