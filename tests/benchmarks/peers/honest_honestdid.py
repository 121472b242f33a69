"""Times honest bounds of one event study in honestdid; prints seconds and the last interval as JSON."""

import json
import sys
import time
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")
path, kind, values = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
study = json.loads(Path(path).read_text())
import honestdid  # noqa: E402

estimates, vcov, n_pre, n_post = (np.array(study["estimates"]), np.array(study["vcov"]), study["n_pre"], study["n_post"])
weights = np.full((n_post, 1), 1 / n_post)
begin = time.perf_counter()
if kind == "relative_magnitude":
    table = honestdid.createSensitivityResults_relativeMagnitudes(estimates, vcov, n_pre, n_post, Mbarvec=values, l_vec=weights)
else:
    table = honestdid.createSensitivityResults(estimates, vcov, n_pre, n_post, method="FLCI", Mvec=values, l_vec=weights)
seconds = time.perf_counter() - begin
printed = {"seconds": seconds, "conf_low": float(table["lb"].iloc[-1]), "conf_high": float(table["ub"].iloc[-1])}
if kind == "relative_magnitude":
    std_error = float(np.sqrt(weights.T @ vcov[n_pre:, n_pre:] @ weights)[0, 0])
    printed["grid_step"] = 40 * std_error / 999
print(json.dumps(printed))
