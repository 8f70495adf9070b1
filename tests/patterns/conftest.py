"""Lets the tests of patterns import ``contract_kit``, which lies beside them (there are no packages under tests/)."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = str(Path(__file__).resolve().parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)
