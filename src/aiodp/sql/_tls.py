"""Encryption as the properties of JDBC's drivers ask for it, by PostgreSQL's names of its modes."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

DISABLE: Final = "disable"
PREFER: Final = "prefer"
REQUIRE: Final = "require"
VERIFY_CA: Final = "verify-ca"
VERIFY_FULL: Final = "verify-full"
ROOT_CERTIFICATE: Final = "sslrootcert"

PROPERTIES: Final = frozenset(
    {"ssl", "sslmode", "sslfactory", ROOT_CERTIFICATE}
    | {"usessl", "requiressl", "verifyservercertificate"}
)
"""All that is read here, in lower case."""
_MODES: Final = {
    "disabled": DISABLE,
    "preferred": PREFER,
    "required": REQUIRE,
    "verify_ca": VERIFY_CA,
    "verify_identity": VERIFY_FULL,
    "allow": PREFER,
}
"""MySQL's names, and one that is not worth a mode of its own."""
_TRUE: Final = ("true", "")


def tls_mode(properties: Mapping[str, str]) -> str:
    """Return the mode; raise `ValueError` for a `sslmode` that there is not."""
    known = {name.lower(): value for name, value in properties.items()}

    def says(name: str, *, default: bool = False) -> bool:
        return known[name].lower() in _TRUE if name in known else default

    if name := known.get("sslmode"):
        mode = _MODES.get(name.lower(), name.lower())
        if mode not in _MODES.values():
            raise ValueError(f"there is no sslmode {name!r:.40}")
        return mode
    if says("ssl"):  # PostgreSQL's
        unchecked = known.get("sslfactory", "").endswith("NonValidatingFactory")
        return REQUIRE if unchecked else VERIFY_FULL
    if not says("usessl", default=True):
        return DISABLE
    if says("verifyservercertificate"):
        return VERIFY_CA
    return REQUIRE if says("requiressl") else PREFER


def must_be_encrypted(mode: str) -> bool:
    """Return whether a server that cannot encrypt is to be refused."""
    return mode not in (DISABLE, PREFER)


def mysql_context(mode: str, root: str | None = None) -> ssl.SSLContext | None:
    """Return what aiomysql needs; the certificate is checked only if the mode says so.

    `root` is a file of the authorities that are believed, by default the system's. Raises `OSError`
    for one that cannot be read.
    """
    if mode == DISABLE:
        return None
    context = ssl.create_default_context(cafile=root)
    context.check_hostname = mode == VERIFY_FULL
    if mode not in (VERIFY_CA, VERIFY_FULL):
        context.verify_mode = ssl.CERT_NONE
    return context
