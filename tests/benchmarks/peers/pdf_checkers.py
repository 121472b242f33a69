"""Holds PDFs against page-validation (PDF/UA-1, PDF/A-3a), outloud and pdfua; prints what each finds by file as JSON."""

import json
import subprocess
import sys
from collections import Counter
from importlib.metadata import version
from pathlib import Path

import page

found = []
for file in sys.argv[1:]:
    for profile in ("ua1", "3a"):
        report = page.validate_pdf(file, profile=profile, limits=page.SafetyLimits.unlimited())
        broken = Counter(failure.rule_id for failure in report.failures)
        said = ", ".join(f"{rule} ({n})" for rule, n in sorted(broken.items())) or "nothing"
        found.append([f"page-validation {profile}, {report.rules.total} rules", file, said])
    bin_folder = Path(sys.executable).parent
    told = subprocess.run([str(bin_folder / "outloud"), file, "--json", "-", "--fail-on", "never", "-q"], capture_output=True, text=True)
    report = json.loads(told.stdout[told.stdout.index("{"):])
    broken = {rule["rule"]: rule["findings"] for result in report["results"] for rule in result["rules"] if rule["findings"]}
    found.append(["outloud", file, ", ".join(f"{rule} ({n})" for rule, n in sorted(broken.items())) or "nothing"])
    told = subprocess.run([str(bin_folder / "pdfua"), "check", file], capture_output=True, text=True)
    found.append(["pdfua", file, {0: "nothing"}.get(told.returncode, f"findings (exit {told.returncode})")])
print(json.dumps({"versions": [f"{name} {version(name)}" for name in ("page-validation", "outloud", "pdfua")], "found": found}))
