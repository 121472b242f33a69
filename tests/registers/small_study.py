"""A small design for tests: three areas of three schools, all three years."""

import json
from pathlib import Path

import yaml

from evaluation.protocol.simulation import SimulationSection

ROOT = Path(__file__).resolve().parents[2]
SEED = 7


def study_values() -> dict:
    """The registered values of the default trial."""
    return yaml.safe_load((ROOT / "params" / "attendance_mentors_trial.yaml").read_text(encoding="utf-8"))


def small_design(**changes) -> SimulationSection:
    """The default design with three areas of three schools and 40 pupils each; ``block__key=value`` changes one number."""
    values = study_values()["simulation"]
    keep = ("E06000002", "E08000017", "XCA000001")
    values["areas"] = [{**area, "mentor_schools": min(area["mentor_schools"], 2), "comparison_schools": 1} for area in values["areas"] if area["code"] in keep]
    values["programmes"] = [{**p, "areas": [a for a in p["areas"] if a in keep]} for p in values["programmes"]]
    values["roll"]["pupils_per_school"] = 40
    for name, value in changes.items():
        block, key = name.split("__")
        values[block][key] = value
    return SimulationSection.model_validate_json(json.dumps(values))
