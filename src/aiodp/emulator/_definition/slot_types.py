"""The slot types of fields: what kind of value each field of the Developer Guide takes.

The guide's pages of objects give a field the same slot type wherever it stands, with one exception
(`region`), so it goes by the field's name. What is in no table below is a String.
"""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from aiodp.emulator._definition.object_types import DEPENDABLE, TYPES, BaseType, base_of

if TYPE_CHECKING:
    from collections.abc import Mapping


class SlotType(StrEnum):
    """The kinds of values, in the guide's words."""

    BOOLEAN = "Boolean"
    DATE_TIME = "DateTime"
    DOUBLE = "Double"
    ENUMERATION = "Enumeration"
    INTEGER = "Integer"
    PERIOD = "Period"
    REFERENCE = "Reference Object"
    STRING = "String"


ON_DEMAND_START: Final = "ONDEMAND_ACTIVATION_TIME"
"""The `startAt` of a Schedule of an on-demand pipeline (dp-object-schedule)."""
_REGIONS: Final = (
    "ap-northeast-1 ap-northeast-2 ap-south-1 ap-southeast-1 ap-southeast-2 ca-central-1 "
    "eu-central-1 eu-west-1 eu-west-2 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2"
)
_CHOICES: Final = {
    "actionOnResourceFailure": "retryall retrynone",
    "actionOnTaskFailure": "continue terminate",
    "compression": "gzip none",
    "failureAndRerunMode": "cascade none",
    "hadoopSchedulerType": "default_scheduler parallel_capacity_scheduling "
    "parallel_fair_scheduling",
    "insertMode": "append keep_existing overwrite_existing truncate",
    "region": _REGIONS,  # dp-manage-region
    "s3EncryptionType": "none server_side_encryption",
    "scheduleType": "cron ondemand timeseries",
    "startAt": f"first_activation_date_time {ON_DEMAND_START.lower()}",
}
CHOICES: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {key: frozenset(choices.split()) for key, choices in _CHOICES.items()}
)
"""Values of enumerations, and of two Strings (`actionOn...`) of which the guide lists the values.

The case does not matter, and `us_west_1` is `us-west-1`: the guide's samples write them so.
"""

REFERENCES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "configuration": "EmrConfiguration",
        "coreEbsConfiguration": "EbsConfiguration",
        "coreGroupConfiguration": "EmrConfiguration",
        "database": BaseType.DATABASE,
        "dataFormat": BaseType.DATA_FORMAT,
        "dependsOn": "RunnableObject",
        "EbsBlockDeviceConfig": "EbsBlockDeviceConfig",
        "ebsBlockDeviceConfig": "EbsBlockDeviceConfig",
        "httpProxy": "HttpProxy",
        "input": BaseType.DATA_NODE,
        "masterEbsConfiguration": "EbsConfiguration",
        "masterGroupConfiguration": "EmrConfiguration",
        "onFail": BaseType.ACTION,
        "onLateAction": BaseType.ACTION,
        "onSuccess": BaseType.ACTION,
        "output": BaseType.DATA_NODE,
        "parent": "Default",
        "postActivityTaskConfig": "ShellScriptConfig",
        "preActivityTaskConfig": "ShellScriptConfig",
        "precondition": BaseType.PRECONDITION,
        "property": "Property",
        "runsOn": BaseType.RESOURCE,
        "schedule": "Schedule",
        "taskEbsConfiguration": "EbsConfiguration",
        "taskGroupConfiguration": "EmrConfiguration",
        "VolumeSpecification": "VolumeSpecification",
        "volumeSpecification": "VolumeSpecification",
    }
)
"""Fields which are references, and what they may refer to: a type or what it is a type of.

`RunnableObject` is what comes to an end by its work, so no resource and no precondition; `Default`,
in the service's own words, is any object at all.
"""

_SLOTS: Final = {
    SlotType.BOOLEAN: "associatePublicIpAddress ebsOptimized resizeClusterBeforeRunning s3NoProxy "
    "stage useOnDemandOnLastAttempt",
    SlotType.DATE_TIME: "endDateTime startDateTime",
    SlotType.DOUBLE: "readThroughputPercent writeThroughputPercent",
    SlotType.ENUMERATION: " ".join(CHOICES),
    SlotType.INTEGER: "coreInstanceCount instanceCount iops maxActiveInstances maximumRetries "
    "minInstanceCount occurrences resizeClusterMaxInstances sizeInGB taskInstanceCount "
    "volumesPerInstance",
    SlotType.PERIOD: "attemptTimeout initTimeout lateAfterTimeout period preconditionTimeout "
    "reportProgressTimeout retryDelay terminateAfter",
    SlotType.REFERENCE: " ".join(REFERENCES),
}
_BY_FIELD: Final = {key: slot for slot, keys in _SLOTS.items() for key in keys.split()}
_DOCUMENTED: Final = frozenset(key for known in TYPES.values() for key in known.fields)

_MULTIPLE: Final = (
    "additionalMasterSecurityGroupIds additionalSlaveSecurityGroupIds applications argument "
    "bootstrapAction column commandOptions configuration coreGroupConfiguration dependsOn "
    "EbsBlockDeviceConfig ebsBlockDeviceConfig input jdbcProperties masterGroupConfiguration "
    "onFail onLateAction onSuccess output postStepCommand preStepCommand precondition primaryKeys "
    "property scriptArgument scriptVariable securityGroupIds securityGroups step "
    "supportedProducts taskGroupConfiguration"
)
MULTIPLE: Final = frozenset(_MULTIPLE.split())
"""Fields which take several values; every other documented one takes a single value."""


def slot_type(type_name: str, key: str) -> SlotType | None:
    """Return what a documented field takes; `None` for any other, which may take anything."""
    plain = key.removeprefix("*")  # which marks a field as encrypted
    if plain not in _DOCUMENTED and key not in _DOCUMENTED:
        return None
    if (type_name, plain) == ("RdsDatabase", "region"):
        return SlotType.STRING
    return _BY_FIELD.get(plain, SlotType.STRING)


def refers_to(expected: str, type_name: str) -> bool:
    """Return whether an object of this type is what a reference expects (see `REFERENCES`)."""
    base = base_of(type_name)
    if expected == "Default":
        return True
    if expected == "RunnableObject":
        return base in DEPENDABLE
    return expected in (type_name, base)
