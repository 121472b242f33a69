"""Times a weighted regression with CR1 errors by school in pyfixest or statsmodels; prints seconds and one effect as JSON."""

import json
import sys
import time
import warnings

import pandas as pd

warnings.simplefilter("ignore")
package, path, *terms = sys.argv[1:]
rows = pd.read_parquet(path)
formula = f"y ~ {' + '.join(terms)}"
if package == "pyfixest":
    import pyfixest

    begin = time.perf_counter()
    table = pyfixest.feols(formula, data=rows, vcov={"CRV1": "school"}, weights="weight").tidy()
    seconds = time.perf_counter() - begin
    estimate, std_error = table.loc["treated", ["Estimate", "Std. Error"]]
else:
    import statsmodels.formula.api as smf

    begin = time.perf_counter()
    fit = smf.wls(formula, rows, weights=rows["weight"]).fit(cov_type="cluster", cov_kwds={"groups": rows["school"]})
    estimate, std_error = fit.params["treated"], fit.bse["treated"]
    seconds = time.perf_counter() - begin
print(json.dumps({"seconds": seconds, "estimate": float(estimate), "std_error": float(std_error)}))
