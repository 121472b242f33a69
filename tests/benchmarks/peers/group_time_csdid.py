"""Times csdid's doubly robust group-time effects and event-time averages; prints seconds and the overall effect as JSON."""

import contextlib
import io
import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
from csdid.att_gt import ATTgt

warnings.simplefilter("ignore")
path, errors = sys.argv[1:3]
rows = pd.read_parquet(path)
draws = errors == "draws"
options = {"clustervar": "school", "biters": 999, "cband": True} if draws else {"cband": False}
if errors == "missing":  # a share of rows is missing, and their pupils are kept
    rows = rows[np.random.default_rng(0).random(len(rows)) >= 0.1].reset_index(drop=True)
    options["allow_unbalanced_panel"] = True
np.random.seed(1)
with contextlib.redirect_stdout(io.StringIO()):
    begin = time.perf_counter()
    fit = ATTgt(yname="y", tname="t", idname="pupil_id", gname="g", data=rows, control_group=["nevertreated"], xformla="y ~ fsm + idaci + prior_abs", **options)
    fit = fit.fit(est_method="dr", base_period="varying", bstrap=draws)
    table = fit.aggte(typec="dynamic").atte
    seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "estimate": float(table["overall_att"]), "std_error": float(np.ravel(table["overall_se"])[0])}))
