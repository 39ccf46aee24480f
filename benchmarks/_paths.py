"""Makes the helpers of the tests importable: import this module before them."""

from __future__ import annotations

import sys
from pathlib import Path

_SUPPORT = Path(__file__).resolve().parents[1] / "tests" / "support"
sys.path.insert(0, str(_SUPPORT))
