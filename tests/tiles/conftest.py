"""Sets of whole scans made by hand."""

from __future__ import annotations

import pytest
from mias_set import MiasSet


@pytest.fixture
def mias_set() -> MiasSet:
    """A fresh hand-made set of films to plant one defect in."""
    return MiasSet()
