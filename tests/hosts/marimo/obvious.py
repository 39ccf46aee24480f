"""What suggests itself, and is wrong: cookies by process. marimo's visitors are threads of one."""

import os
import threading

MEETING = threading.Barrier(2)

_by_process = {}


def note(cookies):
    """Keep the cookies of this process."""
    _by_process[os.getpid()] = cookies


def cookies():
    """Return the cookies of this process."""
    return _by_process[os.getpid()]
