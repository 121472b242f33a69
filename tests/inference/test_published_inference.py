"""Published examples of cluster-robust inference, on their own data."""

import pandas as pd
import pytest

from evaluation.inference import linear

# Half a unit of the last digit printed.
FOUR, THREE, TWO = 5.1e-5, 5.1e-4, 5.1e-3


def test_drinking_age_and_deaths(published):
    """Motor vehicle deaths, 1970 to 1983, state and year effects (printed in clubSandwich's vignette; its CR1: G / (G - 1))."""
    deaths = pd.read_csv(published / "published" / "mortality.csv")
    deaths = deaths.query("cause == 'Motor Vehicle' and year <= 1983").dropna(subset=["mrate", "legal", "beertaxa"])

    def fit(kind):
        got = linear(deaths, "mrate", ["legal", "beertaxa"], absorb=("state", "year"), cluster="state", kind=kind)
        return got.frame.set_index("term")

    cr2, cr1 = fit("CR2"), fit("CR1")
    assert cr2.loc["legal", ["estimate", "std_error"]].tolist() == pytest.approx([7.5877, 2.5131], abs=FOUR)
    assert cr2.loc["legal", "df"] == pytest.approx(24.58, abs=TWO)
    assert cr2.loc["legal", "p_value"] == pytest.approx(0.00583, abs=5.1e-6)
    assert cr2.loc["beertaxa", ["estimate", "std_error"]].tolist() == pytest.approx([3.8187, 5.2650], abs=FOUR)
    assert cr2.loc["beertaxa", "df"] == pytest.approx(5.77, abs=TWO)
    assert cr1.loc["legal", "std_error"] == pytest.approx(2.44, abs=TWO)
    assert cr1.loc["legal", "statistic"] == pytest.approx(3.108, abs=THREE)
    assert cr1.loc["legal", "df"] == 49


def test_voters(published):
    """fwildclusterboot's example: its t statistic carries Stata's factor, CR1S here, with the effects among the parameters."""
    voters = pd.read_csv(published / "published" / "voters.csv")
    terms = ["treatment", "ideology1", "log_income"]
    fit = linear(voters, "proposition_vote", terms, absorb="Q1_immigration", cluster="group_id1", kind="CR1S")
    treatment = fit.frame.set_index("term").loc["treatment"]
    assert treatment["estimate"] == pytest.approx(0.07290769, abs=5.1e-9)
    assert treatment["statistic"] == pytest.approx(3.709435, abs=5.1e-7)


@pytest.mark.parametrize(("cluster", "wanted"), [("firm", 0.0506), ("year", 0.0334), (("firm", "year"), 0.0536)])
def test_petersen_one_way_and_two_way(published, cluster, wanted):
    """Four digits do not tell CR1 from CR1S here."""
    firms = pd.read_csv(published / "published" / "petersen.csv")
    for kind in ("CR1", "CR1S"):
        fit = linear(firms, "y", ["x"], cluster=cluster, kind=kind)
        assert fit.frame["std_error"].iloc[0] == pytest.approx(wanted, abs=FOUR)
