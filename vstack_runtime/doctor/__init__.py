"""What is wrong with an installation, and the line that mends it: ``vstack-doctor``.

A check looks at one thing and says what it saw. What it may look at is in its ``Case``, so that a test can break each
thing without breaking the machine it runs on.
"""

from __future__ import annotations

from vstack_runtime.doctor.case import Case, Check, Finding, Level, Report
from vstack_runtime.doctor.examination import CHECKS, GROUPS, examine

__all__ = ["CHECKS", "GROUPS", "Case", "Check", "Finding", "Level", "Report", "examine"]
