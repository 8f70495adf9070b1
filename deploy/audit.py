"""Known vulnerabilities of what is pinned: ``python -m deploy.audit requirements/container.txt ...``.

Exits 1 where there are any. Where the service that knows them cannot be asked, nothing is known: that is said, loudly,
and is no failure of ours.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("pip-audit")
SECONDS = 120


def asked(path: str) -> tuple[list[dict[str, Any]], str]:
    """What pip-audit says of each pin, or why it says nothing."""
    flags = ("--disable-pip", "--require-hashes", "--progress-spinner", "off", "--timeout", "5", "--format", "json")
    try:
        ended = subprocess.run(
            [str(PROGRAM), "--requirement", path, *flags], capture_output=True, text=True, timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return [], f"no answer within {SECONDS} s"
    try:
        return json.loads(ended.stdout)["dependencies"], ""
    except (ValueError, KeyError):
        return [], ended.stderr.strip().rpartition("\n")[2] or f"exit code {ended.returncode}"


def audit(path: str) -> bool:
    """Print what is known of the pins of a file; whether none is known to be vulnerable."""
    pins, why = asked(path)
    known = [pin for pin in pins if "skip_reason" not in pin]
    if not known:
        why = why or pins[0]["skip_reason"]
        print(f"!! {path}: NOT AUDITED, the vulnerability service cannot be asked: {why}", file=sys.stderr)
        return True
    bad = [(pin, found) for pin in known for found in pin["vulns"]]
    for pin, found in bad:
        fixed = ", ".join(found["fix_versions"]) or "nothing"
        print(f"{path}: {pin['name']} {pin['version']} has {found['id']}, fixed in {fixed}", file=sys.stderr)
    print(f"{path}: {len(known)} of {len(pins)} pins audited, {len(bad)} vulnerabilities")
    return not bad


def main(paths: list[str]) -> int:
    """Audit each file."""
    sound = [audit(path) for path in paths]
    return 0 if all(sound) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
