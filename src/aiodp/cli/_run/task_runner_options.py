"""The options that AWS's Task Runner has too, in both spellings."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from aiodp.cli._params import Directory, Text, Url, option

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_DIRECTORY: Final = Directory(file_okay=False, path_type=Path)

TASK_RUNNERS: Final = (
    option(
        *("--worker-group", "--workerGroup", "worker_group"),
        required=True,
        metavar="NAME",
        help="Worker group whose tasks are done.",
    ),
    option(
        "--region",
        metavar="NAME",
        type=Text(),
        help="AWS region; else the one of the AWS configuration, else us-east-1.",
    ),
    option(
        *("--endpoint-url", "--endpoint", "endpoint_url"),
        metavar="URL",
        type=Url(),
        help="Another endpoint of Data Pipeline than the region's. For S3, or for both, there is "
        "AWS_ENDPOINT_URL.",
    ),
    option(
        "--config",
        metavar="FILE",
        type=_FILE,
        help='File with keys: {"access-id": "...", "private-key": "..."}.',
    ),
    option(
        *("--access-id", "--accessId", "--accessID", "access_id"),
        metavar="KEY",
        type=Text(),
        help="AWS access key id. Without keys, the AWS configuration gives them.",
    ),
    option(
        *("--secret-key", "--secretKey", "secret_key"),
        metavar="KEY",
        type=Text(),
        help="AWS secret access key. Others see it in the list of processes: better the "
        "environment variable, --config, or the AWS configuration.",
    ),
    option(
        *("--taskrunner-id", "--taskrunnerId", "taskrunner_id"),
        metavar="NAME",
        help="Name in the runner's own heartbeats, unique in the account. By default generated.",
    ),
    option(
        "--output",
        metavar="DIRECTORY",
        type=_DIRECTORY,
        default="output",
        show_default=True,
        help="Where logs and the work of commands are kept.",
    ),
    option(
        *("--log-uri", "--logUri", "log_uri"),
        metavar="S3_URI",
        help="Where the runner's log goes every hour and at the end, and the logs of tasks without "
        "a pipelineLogUri.",
    ),
    option(
        "--tasks",
        metavar="N",
        type=click.IntRange(min=1),
        default=2,
        show_default=True,
        help="Tasks that are done at once.",
    ),
    option(
        *("--proxy-host", "--proxyHost", "proxy_host"),
        metavar="HOST",
        type=Text(),
        help="HTTP proxy. Without it, HTTPS_PROXY and HTTP_PROXY name one.",
    ),
    option(
        *("--proxy-port", "--proxyPort", "proxy_port"),
        metavar="PORT",
        type=click.IntRange(1, 65535),
        help="Port of the proxy.",
    ),
    option(
        *("--proxy-username", "--proxyUsername", "proxy_username"),
        metavar="NAME",
        type=Text(),
        help="User at the proxy.",
    ),
    option(
        *("--proxy-password", "--proxyPassword", "proxy_password"),
        metavar="TEXT",
        type=Text(),
        help="Password at the proxy; as for --secret-key, better in the environment variable.",
    ),
    option(
        *("--proxy-domain", "--proxyDomain", "proxy_domain"),
        metavar="NAME",
        help="Of NTLM, which is not supported: must be empty.",
    ),
    option(
        *("--proxy-workstation", "--proxyWorkstation", "proxy_workstation"),
        metavar="NAME",
        help="Of NTLM, which is not supported: must be empty.",
    ),
)
"""The options of AWS's Task Runner (Developer Guide, "Task Runner Configuration Options")."""
