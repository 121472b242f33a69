"""Times optimal cell suppression of one table in pytauargus; prints seconds and how many cells it suppresses as JSON."""

import json
import os
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
from pytauargus import protect

counts = json.loads(Path(sys.argv[1]).read_text())
rows = [(f"r{i}", f"c{j}", 1.0) for i, row in enumerate(counts) for j, n in enumerate(row) for _ in range(n)]
pupils = pd.DataFrame(rows, columns=["row", "col", "value"])
os.chdir(tempfile.mkdtemp())  # the engine writes its logs where it stands
begin = time.perf_counter()
result = protect(pupils, ["row", "col"], response="value", safety_rules="FREQ(10,100)", suppress=sys.argv[2], workdir=tempfile.mkdtemp())
hidden = pd.Series(result.tables[0].safe(None)).isna().sum()
print(json.dumps({"seconds": time.perf_counter() - begin, "suppressed": int(hidden)}))
