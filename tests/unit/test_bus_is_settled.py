"""Which answers of `$JS.API` are worth believing."""

import json
from typing import Any

import pytest

from treeward.bus.requests import NO_RESPONDERS, Answer, is_settled


def answer(**reply: Any) -> Answer:
    return Answer(json.dumps(reply).encode(), None, 0)


@pytest.mark.parametrize("cluster", [None, {"name": "treeward", "leader": "nats-1"}], ids=["alone", "led"])
def test_what_is_said_of_a_stream_by_its_leader_or_by_the_only_server_is_believed(
    cluster: dict[str, str] | None,
) -> None:
    assert is_settled(answer(config={}, state={"messages": 3}, cluster=cluster))


@pytest.mark.parametrize("cluster", [{"name": "treeward"}, {"name": "treeward", "leader": ""}])
def test_what_a_single_copy_says_of_a_stream_without_leader_is_not(cluster: dict[str, str]) -> None:
    assert not is_settled(answer(config={}, state={"messages": 0}, cluster=cluster))


@pytest.mark.parametrize(("code", "settled"), [(10059, True), (10008, False), (10118, False)])
def test_an_error_that_passes_is_not(code: int, *, settled: bool) -> None:
    assert is_settled(answer(error={"code": 503, "err_code": code, "description": "said so"})) is settled


def test_that_nobody_answers_is_not() -> None:
    assert not is_settled(Answer(b"", None, NO_RESPONDERS))
