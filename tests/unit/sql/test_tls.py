"""Encryption as JDBC's properties ask for it."""

from __future__ import annotations

import ssl

import pytest

from aiodp.sql._tls import must_be_encrypted, mysql_context, tls_mode


@pytest.mark.parametrize(
    ("properties", "mode"),
    [
        ({}, "prefer"),
        ({"sslmode": "verify-ca", "ssl": "false"}, "verify-ca"),
        ({"sslMode": "VERIFY_IDENTITY"}, "verify-full"),
        ({"sslMode": "REQUIRED"}, "require"),
        ({"sslmode": "allow"}, "prefer"),
        ({"ssl": "true"}, "verify-full"),
        ({"ssl": ""}, "verify-full"),
        ({"ssl": "true", "sslfactory": "org.postgresql.ssl.NonValidatingFactory"}, "require"),
        ({"ssl": "false"}, "prefer"),
        ({"useSSL": "false", "requireSSL": "true"}, "disable"),
        ({"useSSL": "true", "requireSSL": "true"}, "require"),
        ({"useSSL": "true", "verifyServerCertificate": "true"}, "verify-ca"),
        ({"useSSL": "true", "verifyServerCertificate": "false"}, "prefer"),
    ],
)
def test_what_the_properties_mean(properties, mode):
    """The drivers' own meanings, by PostgreSQL's names."""
    assert tls_mode(properties) == mode


def test_a_mode_that_there_is_not():
    """It is refused, for another would be less than was asked for."""
    with pytest.raises(ValueError, match="there is no sslmode 'verify'"):
        tls_mode({"sslmode": "verify"})


@pytest.mark.parametrize(
    ("mode", "encrypted", "checked", "named"),
    [
        ("prefer", False, False, False),
        ("require", True, False, False),
        ("verify-ca", True, True, False),
        ("verify-full", True, True, True),
    ],
)
def test_what_is_checked_of_a_certificate_of_mysql(mode, encrypted, checked, named):
    """No more than the mode says, and no less."""
    context = mysql_context(mode)
    assert context is not None
    assert must_be_encrypted(mode) == encrypted
    assert (context.verify_mode is ssl.CERT_REQUIRED) == checked
    assert context.check_hostname == named
    assert mysql_context("disable") is None
    assert not must_be_encrypted("disable")
