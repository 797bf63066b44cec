"""What the acceptance tests share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SAMPLE: Final = ROOT / "src" / "aiodp" / "cli" / "samples" / "helloworld.json"
RESOURCE_GROUP: Final = "resources"
CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
}


def kept_environment() -> dict[str, str]:
    """Return the environment without settings of ours, of AWS and of moto."""
    return {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "AIODP_", "MOTO_"))}


def signed(service: str) -> dict[str, str]:
    """The header by which moto knows the service that a request is for."""
    scope = f"key/20260101/us-east-1/{service}/aws4_request"
    value = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    return {"Authorization": value}
