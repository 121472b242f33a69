"""Reads what pytest printed and fails on a skip whose reason is not on the list below.

Run as ``python tests/skips.py OUTPUT``. Published data and a browser are present where changes are checked, so that their
absence is no reason there; it is one on a machine that was never given them.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

ALWAYS = ("the system has no /dev/full",)
WITHOUT_BROWSER = ("no Chromium: install the system's package chromium or set EVALUATION_BROWSER",)
WITHOUT_PUBLISHED_DATA = ("published data not supplied: set EVALUATION_PUBLISHED_DATA",)


def main() -> int:
    """Print allowed reasons and skips; 1 if a skip has another reason."""
    text = Path(sys.argv[1]).read_text(encoding="utf-8", errors="replace")
    allowed = ALWAYS
    if not os.environ.get("EVALUATION_PUBLISHED_DATA"):
        allowed += WITHOUT_PUBLISHED_DATA
    if not os.environ.get("EVALUATION_BROWSER"):
        allowed += WITHOUT_BROWSER
    print("Reasons for which a test may be skipped here:", *(f"- {reason}" for reason in allowed), sep="\n")
    skips = re.findall(r"^SKIPPED \[\d+\] (.*)$", text, re.M)
    unlisted = [skip for skip in skips if not any(reason in skip for reason in allowed)]
    print(f"{len(skips)} kinds of skip, {len(unlisted)} not on the list", *(f"- {skip}" for skip in unlisted), sep="\n")
    return 1 if unlisted else 0


if __name__ == "__main__":
    sys.exit(main())
