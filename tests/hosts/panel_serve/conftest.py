"""The same servers and visitors as for Bokeh."""

from __future__ import annotations

import importlib.util
from pathlib import Path

_PATH = Path(__file__).parents[1] / "bokeh" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("bokeh_conftest", _PATH)
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)

pytest_pyfunc_call = _MODULE.pytest_pyfunc_call
chromium = _MODULE.chromium
started, tools = _MODULE.started, _MODULE.tools
