"""Fixtures that several rooms' tests share."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in every kernel: threads that wait for each other on two cores cost time
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def published() -> Path:
    """Folder that holds the published data, named by EVALUATION_PUBLISHED_DATA; without it the test is skipped."""
    folder = os.environ.get("EVALUATION_PUBLISHED_DATA")
    if not folder:
        pytest.skip("published data not supplied: set EVALUATION_PUBLISHED_DATA")
    path = Path(folder)
    assert path.is_dir(), f"EVALUATION_PUBLISHED_DATA names {folder}, which is not a folder"
    return path
