"""What the tests of several commands share."""

from __future__ import annotations

import pytest


@pytest.fixture
def no_aws_settings(tmp_path, monkeypatch):
    """A current directory of its own, and no AWS configuration of the user's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
