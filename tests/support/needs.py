"""Requirements of a test on its machine."""

from __future__ import annotations

import os

import pytest

__all__ = ["need"]


def need(condition: object, reason: str) -> None:
    """Skip the test if a requirement is missing; fail if all requirements must be met.

    Args:
        condition: Whether it is there.
        reason: What is missing, for the report.
    """
    if condition:
        return
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"REQUIRE_ALL=1, but: {reason}", pytrace=False)
    pytest.skip(reason)
