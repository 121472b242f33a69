"""Times diff-diff's doubly robust group-time effects and event-time averages; prints seconds and the overall effect as JSON."""

import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
from diff_diff import CallawaySantAnna

warnings.simplefilter("ignore")
path, errors = sys.argv[1:3]
rows = pd.read_parquet(path)
options = {"n_bootstrap": 999, "cluster": "school", "seed": 1} if errors == "draws" else {}
begin = time.perf_counter()
fit = CallawaySantAnna(control_group="never_treated", estimation_method="dr", base_period="varying", **options)
fit = fit.fit(rows, outcome="y", unit="pupil_id", time="t", first_treat="g", covariates=["fsm", "idaci", "prior_abs"], aggregate="event_study")
seconds = time.perf_counter() - begin
# The average over event times from 0 on, as the others have it; its standard error is not given.
later = [float(effect["effect"]) for event, effect in fit.event_study_effects.items() if event >= 0]
print(json.dumps({"seconds": seconds, "estimate": float(np.mean(later))}))
