"""What an account has of pipelines: their tags, lists and descriptions."""

from __future__ import annotations

from typing import Any

import pytest

from unit.emulator.service_kit import Kit


def create(kit: Kit, name: str = "p", **members: Any) -> str:
    made = kit.call("CreatePipeline", name=name, uniqueId=name, **members)
    pipeline_id: str = made["pipelineId"]
    return pipeline_id


def tags(kit: Kit, pipeline_id: str) -> dict[str, str]:
    (found,) = kit.call("DescribePipelines", pipelineIds=[pipeline_id])["pipelineDescriptionList"]
    return {tag["key"]: tag["value"] for tag in found["tags"]}


def tag(key: str, value: str = "") -> dict[str, str]:
    return {"key": key, "value": value}


def test_tags_come_and_go():
    """AddTags adds and replaces, RemoveTags removes, and absent keys make no difference."""
    kit = Kit()
    pipeline_id = create(kit, tags=[tag("a", "1"), tag("b", "2")])
    given_tags = [tag("b", "3"), tag("c", "4")]
    assert kit.call("AddTags", pipelineId=pipeline_id, tags=given_tags) == {}
    assert tags(kit, pipeline_id) == {"a": "1", "b": "3", "c": "4"}
    assert kit.call("RemoveTags", pipelineId=pipeline_id, tagKeys=["a", "none"]) == {}
    assert tags(kit, pipeline_id) == {"b": "3", "c": "4"}


@pytest.mark.parametrize(
    "given_tags",
    [
        [tag(str(n)) for n in range(10)],
        [tag("k", "v" * 257)],
        [tag("k" * 129)],
        [tag("")],
        [tag("same", "1"), tag("same", "2")],
    ],
)
def test_tags_beyond_a_limit_are_refused(given_tags):
    """A pipeline has ten tags: keys of 1 to 128 characters, once each, values of 256 at most."""
    kit = Kit()
    pipeline_id = create(kit, tags=[tag("first")])
    answer = kit.call("AddTags", pipelineId=pipeline_id, tags=given_tags)
    assert answer["error"] == "InvalidRequestException"
    assert tags(kit, pipeline_id) == {"first": ""}


def test_a_pipeline_is_not_created_with_equal_tags():
    """CreatePipeline refuses a key which is there twice, and makes nothing."""
    kit = Kit()
    twice = [tag("k", "1"), tag("k", "2")]
    answer = kit.call("CreatePipeline", name="p", uniqueId="p", tags=twice)
    assert answer["error"] == "InvalidRequestException"
    assert kit.call("ListPipelines")["pipelineIdList"] == []


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("AddTags", {"tags": []}),
        ("RemoveTags", {"tagKeys": []}),
        ("ValidatePipelineDefinition", {"pipelineObjects": []}),
    ],
)
def test_unknown_and_deleted_pipelines(operation, members):
    """An unknown pipeline is not found, a deleted one is deleted: both with their own error."""
    kit = Kit()
    pipeline_id = create(kit)
    unknown = kit.call(operation, pipelineId="df-UNKNOWN", **members)
    assert unknown["error"] == "PipelineNotFoundException"
    kit.call("DeletePipeline", pipelineId=pipeline_id)
    deleted = kit.call(operation, pipelineId=pipeline_id, **members)
    assert deleted["error"] == "PipelineDeletedException"


@pytest.mark.parametrize(
    ("count", "sizes"), [(49, [49]), (50, [50]), (51, [50, 1]), (100, [50, 50])]
)
def test_pipelines_are_listed_in_pages_of_fifty(count, sizes):
    """ListPipelines has pages of fifty, and says of each but the last that there is more."""
    kit = Kit()
    names = [f"p{n}" for n in range(count)]
    for name in names:
        create(kit, name)
    found: list[str] = []
    marker = None
    for number, size in enumerate(sizes, start=1):
        page = kit.call("ListPipelines", marker=marker)
        assert len(page["pipelineIdList"]) == size
        assert page["hasMoreResults"] is (number < len(sizes))
        assert ("marker" in page) is page["hasMoreResults"]
        found += [item["name"] for item in page["pipelineIdList"]]
        marker = page.get("marker")
    assert found == names


def test_a_marker_is_valid_after_its_pipeline_is_deleted():
    """The marker names the last pipeline of a page, and counts on after that is deleted."""
    kit = Kit()
    ids = [create(kit, f"p{n}") for n in range(60)]
    first = kit.call("ListPipelines")
    assert first["marker"] == ids[49]
    for gone in (ids[3], ids[49], ids[52]):
        kit.call("DeletePipeline", pipelineId=gone)
    create(kit, "new")
    second = kit.call("ListPipelines", marker=first["marker"])
    names = [item["name"] for item in second["pipelineIdList"]]
    assert names == ["p50", "p51", *(f"p{n}" for n in range(53, 60)), "new"]
    assert second["hasMoreResults"] is False


@pytest.mark.parametrize("marker", ["50", "df-UNKNOWN"])
def test_a_marker_which_was_never_given(marker):
    """Something else than a marker is refused."""
    kit = Kit()
    create(kit)
    assert kit.call("ListPipelines", marker=marker)["error"] == "InvalidRequestException"


def test_describing_what_is_not_there():
    """DescribePipelines has at most 25 ids, and refuses unknown ones as well as deleted ones."""
    kit = Kit()
    pipeline_id = create(kit)

    def describe(*ids: str) -> Any:
        return kit.call("DescribePipelines", pipelineIds=list(ids)).get("error")

    assert describe(*[pipeline_id] * 25) is None
    assert describe(*[pipeline_id] * 26) == "InvalidRequestException"
    assert describe(pipeline_id, "df-UNKNOWN") == "PipelineNotFoundException"
    kit.call("DeletePipeline", pipelineId=pipeline_id)
    assert describe(pipeline_id) == "PipelineDeletedException"
    assert kit.call("ListPipelines")["pipelineIdList"] == []
