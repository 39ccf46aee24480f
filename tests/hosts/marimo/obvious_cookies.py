"""An obvious but wrong solution: cookies by process. marimo's visitors share one process."""

import os
import threading
import warnings

from jupyter_session_user import SharedResultWarning, get_current_user

MEETING = threading.Barrier(2)

_by_process = {}


def note(cookies):
    """Keep the cookies of this process."""
    _by_process[os.getpid()] = cookies


def cookies():
    """Return the cookies of this process."""
    return _by_process[os.getpid()]


def warned():
    """Return the number of warnings from a call here."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        get_current_user(default=None)
    return len([each for each in seen if each.category is SharedResultWarning])
