"""Times pymatchit-causal's nearest-neighbour matching (logit model, caliper 0.2, exact on two); prints seconds and the pairs made as JSON."""

import contextlib
import io
import json
import sys
import time

import pandas as pd
import pymatchit

pupils = pd.read_parquet(sys.argv[1])
pupils.index = pupils["pupil_id"].to_numpy()
with contextlib.redirect_stdout(io.StringIO()):
    begin = time.perf_counter()
    matching = pymatchit.MatchIt(pupils, method="nearest", distance="glm", link="linear.logit", caliper=0.2, exact=["sex", "year_group"], replace=False)
    matching.fit("treat ~ fsm + sen + idaci + prior_abs + sex + year_group")
    seconds = time.perf_counter() - begin
    table = matching.matches()
treated, control = (next(c for c in table.columns if part in c.lower()) for part in ("treat", "control"))
pairs = table[[treated, control]].dropna().astype(int)
print(json.dumps({"seconds": seconds, "pairs": len(pairs), "checksum": int((pairs[treated] * 31 + pairs[control] * 17).sum() % 1_000_003)}))
