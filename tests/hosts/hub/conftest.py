"""Visitors of Panel's pages, for the tests behind the Hub."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "bokeh"))
