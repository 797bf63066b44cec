"""The types of pipeline objects which the Developer Guide documents, and their fields.

A page of the guide for each type (dp-object-*, dp-dynamodb*) says which fields it needs, and which
others it may have.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


class BaseType(StrEnum):
    """What the types of the guide are types of."""

    ACTIVITY = "Activity"
    DATA_NODE = "DataNode"
    RESOURCE = "Resource"
    PRECONDITION = "Precondition"
    ACTION = "Action"
    DATABASE = "Database"
    DATA_FORMAT = "DataFormat"
    SCHEDULE = "Schedule"
    UTILITY = "Utility"


RUNNABLE: Final = frozenset(
    {BaseType.ACTIVITY, BaseType.DATA_NODE, BaseType.RESOURCE, BaseType.PRECONDITION}
)
"""What the service makes instances of."""
DEPENDABLE: Final = frozenset({BaseType.ACTIVITY, BaseType.DATA_NODE})
"""What others can wait for by `dependsOn`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectType:
    """A type of pipeline object, as its page of the Developer Guide has it."""

    base: BaseType
    required: frozenset[str] = frozenset()
    one_of: frozenset[str] = frozenset()
    """Fields of which at least one is needed."""
    exclusive: bool = False
    """Whether the page forbids more than one of these."""
    fields: frozenset[str] = frozenset()
    """Every field it may have, those above included."""


_ANY: Final = "type parent"
_ROLES: Final = "role resourceRole"
_TRIES: Final = (
    "attemptStatus attemptTimeout failureAndRerunMode lateAfterTimeout maximumRetries onFail "
    "onLateAction onSuccess reportProgressTimeout retryDelay"
)
_SCHEDULED: Final = f"{_TRIES} schedule scheduleType maxActiveInstances pipelineLogUri"
_RUN: Final = f"{_SCHEDULED} dependsOn precondition runsOn workerGroup"
_ACTIVITY: Final = f"{_RUN} input output"
_SCRIPTS: Final = "preActivityTaskConfig postActivityTaskConfig"
_RESIZE: Final = "resizeClusterBeforeRunning resizeClusterMaxInstances"
_SQL_TABLE: Final = "createTableSql database insertQuery schemaName selectQuery"
_RESOURCE: Final = (
    f"{_SCHEDULED} {_ROLES} actionOnResourceFailure actionOnTaskFailure availabilityZone "
    "httpProxy initTimeout keyPair region runsOn subnetId terminateAfter "
    "useOnDemandOnLastAttempt workerGroup"  # the last and runsOn have no effect
)
_PRECONDITION: Final = f"{_TRIES} preconditionTimeout"
_LOGIN: Final = "username *password"
_DATABASE: Final = "databaseName jdbcProperties"


def _type(
    base: BaseType,
    optional: str = "",
    *,
    required: str = "",
    one_of: str = "",
    exclusive: bool = False,
) -> ObjectType:
    return ObjectType(
        base=base,
        required=frozenset(required.split()),
        one_of=frozenset(one_of.split()),
        exclusive=exclusive,
        fields=frozenset(f"{_ANY} {optional} {required} {one_of}".split()),
    )


_ACTIVITIES: Final = {
    "CopyActivity": _type(BaseType.ACTIVITY, _ACTIVITY),
    "EmrActivity": _type(
        BaseType.ACTIVITY, f"{_ACTIVITY} {_RESIZE} postStepCommand preStepCommand step"
    ),
    "HadoopActivity": _type(
        BaseType.ACTIVITY,
        f"{_ACTIVITY} {_SCRIPTS} argument hadoopQueue mainClass",
        required="jarUri",
    ),
    "HiveActivity": _type(
        BaseType.ACTIVITY,
        f"{_ACTIVITY} {_SCRIPTS} {_RESIZE} hadoopQueue scriptVariable stage",
        one_of="hiveScript scriptUri",
    ),
    "HiveCopyActivity": _type(BaseType.ACTIVITY, f"{_ACTIVITY} {_SCRIPTS} {_RESIZE} filterSql"),
    "PigActivity": _type(
        BaseType.ACTIVITY,
        f"{_ACTIVITY} {_SCRIPTS} {_RESIZE} scriptVariable stage",
        one_of="script scriptUri",
    ),
    "RedshiftCopyActivity": _type(
        BaseType.ACTIVITY, f"{_ACTIVITY} commandOptions queue transformSql", required="insertMode"
    ),
    "ShellCommandActivity": _type(
        BaseType.ACTIVITY,
        f"{_ACTIVITY} scriptArgument stage stderr stdout",
        one_of="command scriptUri",
        exclusive=True,
    ),
    "SqlActivity": _type(
        BaseType.ACTIVITY,
        f"{_ACTIVITY} queue scriptArgument",
        required="database",
        one_of="script scriptUri",
    ),
}
_DATA: Final = {
    "DynamoDBDataNode": _type(
        BaseType.DATA_NODE,
        f"{_RUN} dataFormat readThroughputPercent region writeThroughputPercent",
        required="tableName",
    ),
    "MySqlDataNode": _type(
        BaseType.DATA_NODE, f"{_RUN} {_SQL_TABLE} {_LOGIN} connectionString", required="table"
    ),
    "RedshiftDataNode": _type(
        BaseType.DATA_NODE,
        f"{_RUN} createTableSql primaryKeys schemaName",
        required="database tableName",
    ),
    "S3DataNode": _type(
        BaseType.DATA_NODE,
        f"{_RUN} compression dataFormat s3EncryptionType",
        one_of="directoryPath filePath manifestFilePath",
    ),
    "SqlDataNode": _type(BaseType.DATA_NODE, f"{_RUN} {_SQL_TABLE}", required="table"),
    "CSV": _type(BaseType.DATA_FORMAT, "column escapeChar"),
    "Custom": _type(BaseType.DATA_FORMAT, "column recordSeparator", required="columnSeparator"),
    "DynamoDBDataFormat": _type(BaseType.DATA_FORMAT, "column"),
    "DynamoDBExportDataFormat": _type(BaseType.DATA_FORMAT, "column"),
    "RegEx": _type(BaseType.DATA_FORMAT, "column inputRegEx outputFormat"),
    "TSV": _type(BaseType.DATA_FORMAT, "column columnSeparator escapeChar recordSeparator"),
    "JdbcDatabase": _type(
        BaseType.DATABASE,
        f"{_DATABASE} jdbcDriverJarUri",
        required=f"{_LOGIN} connectionString jdbcDriverClass",
    ),
    "RdsDatabase": _type(
        BaseType.DATABASE,
        f"{_DATABASE} jdbcDriverJarUri region",
        required=f"{_LOGIN} rdsInstanceId",
    ),
    "RedshiftDatabase": _type(
        BaseType.DATABASE,
        f"{_DATABASE} region",
        required=_LOGIN,
        one_of="clusterId connectionString",
        exclusive=True,
    ),
}
_RESOURCES: Final = {
    "Ec2Resource": _type(
        BaseType.RESOURCE,
        f"{_RESOURCE} associatePublicIpAddress imageId instanceCount instanceType "
        "minInstanceCount runAsUser securityGroupIds securityGroups spotBidPrice",
    ),
    "EmrCluster": _type(
        BaseType.RESOURCE,
        f"{_RESOURCE} additionalMasterSecurityGroupIds additionalSlaveSecurityGroupIds "
        "amiVersion applications bootstrapAction configuration coreEbsConfiguration "
        "coreGroupConfiguration coreInstanceBidPrice coreInstanceCount coreInstanceType "
        "EbsBlockDeviceConfig emrManagedMasterSecurityGroupId emrManagedSlaveSecurityGroupId "
        "enableDebugging hadoopSchedulerType hadoopVersion masterEbsConfiguration "
        "masterGroupConfiguration masterInstanceBidPrice masterInstanceType releaseLabel "
        "serviceAccessSecurityGroupId supportedProducts taskEbsConfiguration "
        "taskGroupConfiguration taskInstanceBidPrice taskInstanceCount taskInstanceType "
        "VolumeSpecification",
    ),
}
CHECKED_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "DynamoDBDataExists": "tableName",
        "DynamoDBTableExists": "tableName",
        "S3KeyExists": "s3Key",
        "S3PrefixNotEmpty": "s3Prefix",
    }
)
"""Preconditions which the service checks itself, and the field that names what must be there."""
_PRECONDITIONS: Final = {
    **{
        name: _type(BaseType.PRECONDITION, f"{_PRECONDITION} role", required=field)
        for name, field in CHECKED_FIELDS.items()
    },
    "Exists": _type(BaseType.PRECONDITION, _PRECONDITION),
    "ShellCommandPrecondition": _type(
        BaseType.PRECONDITION,
        f"{_PRECONDITION} scriptArgument stderr stdout",
        one_of="command scriptUri",
        exclusive=True,
    ),
}
_OTHERS: Final = {
    "SnsAlarm": _type(BaseType.ACTION, "role", required="message subject topicArn"),
    "Terminate": _type(BaseType.ACTION),
    "Schedule": _type(
        BaseType.SCHEDULE,
        "endDateTime occurrences",
        required="period",
        one_of="startAt startDateTime",
        exclusive=True,
    ),
    "EmrConfiguration": _type(
        BaseType.UTILITY, "configuration property", required="classification"
    ),
    "HttpProxy": _type(
        BaseType.UTILITY,
        f"{_LOGIN} s3NoProxy windowsDomain windowsWorkgroup",
        required="hostname port",
    ),
    "EbsConfiguration": _type(BaseType.UTILITY, "ebsBlockDeviceConfig ebsOptimized"),
    "EbsBlockDeviceConfig": _type(BaseType.UTILITY, "volumeSpecification volumesPerInstance"),
    "VolumeSpecification": _type(BaseType.UTILITY, "iops sizeInGB volumeType"),
    "Property": _type(BaseType.UTILITY, required="key value"),
    "ShellScriptConfig": _type(BaseType.UTILITY, "scriptArgument scriptUri"),
}

TYPES: Final[Mapping[str, ObjectType]] = MappingProxyType(
    _ACTIVITIES | _DATA | _RESOURCES | _PRECONDITIONS | _OTHERS
)
"""Every documented type by its name."""

ROLES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "Ec2Resource": frozenset(_ROLES.split()),
        **dict.fromkeys((*CHECKED_FIELDS, "SnsAlarm"), frozenset({"role"})),
    }
)
"""IAM roles by type: the pages call them required, while the guide's own examples go without."""


def base_of(type_name: str) -> BaseType | None:
    """Return what a documented type is one of; `None` of any other."""
    known = TYPES.get(type_name)
    return None if known is None else known.base
