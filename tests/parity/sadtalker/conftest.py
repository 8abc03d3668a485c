"""Networks are compared as they are used: without gradients."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def without_gradients():
    with torch.no_grad():
        yield
