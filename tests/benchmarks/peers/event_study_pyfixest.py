"""Times pyfixest's event study with pupil and period effects, clustered by school; prints seconds and one effect as JSON."""

import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
import pyfixest

warnings.simplefilter("ignore")
rows = pd.read_parquet(sys.argv[1])
if len(sys.argv) > 2:  # a share of rows is missing
    rows = rows[np.random.default_rng(0).random(len(rows)) >= float(sys.argv[2])].reset_index(drop=True)
rows["since"] = np.where(rows["g"] == 0, -1, rows["t"] - rows["g"]).astype(int)
begin = time.perf_counter()
fit = pyfixest.feols("y ~ i(since, ref=-1) | pupil_id + t", data=rows, vcov={"CRV1": "school"})
table = fit.tidy()
seconds = time.perf_counter() - begin
times = [int(str(name).split("::")[-1].split("[")[-1].replace("T.", "").rstrip("]")) for name in table.index]
row = table.iloc[times.index(0)]
print(json.dumps({"seconds": seconds, "estimate": float(row["Estimate"]), "std_error": float(row["Std. Error"])}))
