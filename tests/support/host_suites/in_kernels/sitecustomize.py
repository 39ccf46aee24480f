"""Imports this package in each IPython kernel of a test suite, as its first cell would."""

from __future__ import annotations

import contextlib
from typing import Any

with contextlib.suppress(ImportError):
    from ipykernel.kernelapp import IPKernelApp

    _initialize = IPKernelApp.initialize

    def _initialize_and_import(self: Any, *args: Any, **kwargs: Any) -> None:
        _initialize(self, *args, **kwargs)
        import jupyter_session_user  # noqa: F401 - after the kernel is made

    IPKernelApp.initialize = _initialize_and_import
