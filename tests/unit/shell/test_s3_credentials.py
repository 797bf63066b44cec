"""Keys that are rotated in the credentials file: S3 goes on with the new ones."""

from __future__ import annotations

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.httpxsession import HttpxSession
from aiobotocore.session import get_session

from aiodp import TaskFailed
from aiodp.shell._s3 import open_store
from aiodp.shell._uri import S3Uri
from answers import Answer

pytestmark = pytest.mark.anyio
URI = S3Uri(bucket="bucket", key="key")
KEYS = "[default]\naws_access_key_id = {}\naws_secret_access_key = secret\n"
LOADER = get_session().get_component("data_loader")
"""The description of S3 is read from disk once, not once for each test."""
REFUSED = "<Error><Code>{}</Code><Message>no</Message></Error>"


class S3:
    """Takes what is signed with the keys that it knows, and says of others what it is told."""

    def __init__(self, session):
        self.known = {"old"}
        self.code = "InvalidAccessKeyId"
        self.keys = []
        session.register("before-send.s3", self.answer)

    def answer(self, request, **_):
        key = str(request.headers["Authorization"]).partition("Credential=")[2].partition("/")[0]
        self.keys.append(key)
        if key in self.known:
            return Answer(request.url, 200)
        return Answer(request.url, 403, REFUSED.format(self.code))


@pytest.fixture
def file(monkeypatch, tmp_path):
    """The credentials file of the machine."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    file.write_text(KEYS.format("old"))
    return file


@pytest.fixture
def session(file, anyio_backend_name):
    session = get_session()
    session.register_component("data_loader", LOADER)
    if anyio_backend_name == "trio":
        session.set_default_client_config(AioConfig(http_session_cls=HttpxSession))
    session.set_config_variable("ca_bundle", False)
    return session


def stores(session):
    return open_store(session, region_name="us-east-1", endpoint_url="http://127.0.0.1:1")


async def test_a_client_goes_on_with_the_new_keys(session, file):
    """Downloads come before a command, uploads after it, and the keys may be rotated meanwhile.

    What is opened later, as for each push of the log, knows the new ones at once.
    """
    s3 = S3(session)
    async with stores(session) as store:
        await store.put(file, URI)
        file.write_text(KEYS.format("new"))
        s3.known = {"new"}
        await store.put(file, URI)
        await store.put(file, URI)
    async with stores(session) as store:
        await store.put(file, URI)
    assert s3.keys == ["old", "old", "new", "new", "new"]


async def test_no_others_are_looked_for_where_access_is_denied(session, file):
    """That may be the bucket's policy."""
    s3 = S3(session)
    async with stores(session) as store:
        await store.put(file, URI)
        file.write_text(KEYS.format("new"))
        s3.known, s3.code = {"new"}, "AccessDenied"
        with pytest.raises(TaskFailed, match="AccessDenied"):
            await store.put(file, URI)
    assert s3.keys == ["old", "old"]
