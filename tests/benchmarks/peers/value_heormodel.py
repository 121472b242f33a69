"""Times heormodel's acceptability with EVPI, or its EVPPI of each parameter; prints seconds and values as JSON."""

import json
import sys
import time

import pandas as pd
from heormodel.cea import ceac
from heormodel.models import Outcomes
from heormodel.voi import evpi, evppi

job, path, thresholds = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
draws = pd.read_csv(path)
cost, effect = (draws.filter(regex=f"^{what}_").rename(columns=lambda name: name.split("_", 1)[1]) for what in ("cost", "effect"))
parameters = draws.filter(regex="^parameter_")
outcomes = Outcomes.from_wide(cost, effect)
parameters.index = outcomes.iterations
begin = time.perf_counter()
if job == "curves":
    curve, known = ceac(outcomes, thresholds), evpi(outcomes, thresholds)
    seconds = time.perf_counter() - begin
    values = [float(x) for x in curve.to_numpy().ravel()] + [float(x) for x in known]
else:
    values = [float(evppi(outcomes, parameters, name, threshold)) for threshold in thresholds for name in parameters]
    seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "values": values}))
