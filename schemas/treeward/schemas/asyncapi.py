"""The AsyncAPI document: every subject of the bus, who sends on it, and which message."""

from typing import Any

from treeward.schemas import api, streams, subjects

KEY = "{kind}.{id}"
PARAMETERS = {
    "zone": "name of a zone; `root` is the zone that zones are resources of",
    "kind": "zone, pod, host, vm, volume, network, or any kind that a device serves",
    "id": "name of a resource, unique for its zone and kind",
    "type": "what the event says",
    "pod": "the pod whose owner is meant; `zone` is the zone supervisor's own partition",
    "service": "orchestrator, zone-supervisor or pod-agent",
    "instance": "one running program",
}
SERVICES = ("orchestrator", "zone-supervisor", "pod-agent")

CHANNELS: dict[str, dict[str, str]] = {
    "work": {
        "address": subjects.work("{zone}", KEY), "message": "unit", "stream": streams.work("{zone}"),
        "sender": "anyone allowed to submit", "receiver": "orchestrators (dispatchers)",
        "description": "Submits of units of work. The sequence in the stream is the ticket.",
    },
    "log": {
        "address": subjects.log("{zone}", KEY, "{type}"), "message": "event", "stream": streams.log("{zone}"),
        "sender": "owners of zones and pods, guarded by the position of their claim",
        "receiver": "orchestrators, zone supervisors, pod agents",
        "description": "The log of a zone: the only clock, the only version number and the lock.",
    },
    "event": {
        "address": subjects.event("{zone}", KEY, "{type}"), "message": "event", "stream": "",
        "sender": "the server, which republishes what a log has stored", "receiver": "anyone",
        "description": "Live events for those who watch. Core: nobody who was away gets them later; the log has them.",
    },
    "mailbox": {
        "address": subjects.mailbox("{zone}", "{pod}", KEY), "message": "message", "stream": streams.mailbox("{zone}"),
        "sender": "orchestrators (dispatchers)", "receiver": "the owner of the pod, or of the zone",
        "description": "Units on their way to a process. They may be lost, doubled and reordered; WORK has them.",
    },
    "state": {
        "address": streams.state_subject("{zone}", KEY), "message": "event", "stream": streams.state("{zone}"),
        "sender": "the server, from the log", "receiver": "new owners and dispatchers, whoever looks",
        "description": "The last event of each resource, a snapshot with a position.",
    },
    "presence": {
        "address": subjects.presence("{service}", "{instance}"), "message": "heartbeat", "stream": "",
        "sender": "each instance, every 250 ms", "receiver": "those who claim for it",
        "description": "Who is there, and which branches it acts for.",
    },
}  # fmt: skip
"""The subjects that carry one kind of message."""


def document(version: str) -> dict[str, Any]:
    """The whole document; message payloads refer to the JSON Schemas beside it."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages = {"unit", "event", "message", "heartbeat", "problem"}
    for name, row in CHANNELS.items():
        channels[name] = _channel(row["address"], [row["message"]], row["description"], row["stream"])
        channels[name]["x-sent-by"] = row["sender"]
        channels[name]["x-read-by"] = row["receiver"]
        operations[f"send-{name}"] = _operation("send", name, [row["message"]], f"Sent by {row['sender']}.")
        operations[f"read-{name}"] = _operation("receive", name, [row["message"]], f"Read by {row['receiver']}.")
    for endpoint in api.REQUESTS:
        request, answer = f"{endpoint}-request", f"{endpoint}-answer"
        messages |= {request, answer}
        asked, answered = f"api-{endpoint}", f"api-{endpoint}-reply"
        about = f"Questions about a zone: {endpoint}. Any live orchestrator answers."
        channels[asked] = _channel(subjects.api(endpoint, "{zone}"), [request], about, "")
        channels[answered] = {
            "address": None,
            "description": "The subject that the request names as its reply.",
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in (answer, "problem")},
        }
        operation = _operation("send", asked, [request], "Sent by anyone; answered by an orchestrator.")
        operation["reply"] = {
            "address": {"location": "$message.header#/reply"},
            "channel": {"$ref": f"#/channels/{answered}"},
            "messages": [{"$ref": f"#/channels/{answered}/messages/{name}"} for name in (answer, "problem")],
        }
        operations[f"ask-{endpoint}"] = operation
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Treeward",
            "version": version,
            "description": "Every message is plain JSON and needs no header. Generated from the pydantic models.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {"nats": {"host": "localhost:4222", "protocol": "nats", "description": "NATS with JetStream"}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": {name: _message(name) for name in sorted(messages)}},
    }


def _channel(address: str, messages: list[str], description: str, stream: str) -> dict[str, Any]:
    channel: dict[str, Any] = {"address": address, "description": description}
    names = [name for name in PARAMETERS if f"{{{name}}}" in address]
    channel["parameters"] = {name: _parameter(name) for name in names}
    channel["messages"] = {name: {"$ref": f"#/components/messages/{name}"} for name in messages}
    if stream:
        channel["x-stream"] = stream
    return channel


def _parameter(name: str) -> dict[str, Any]:
    parameter: dict[str, Any] = {"description": PARAMETERS[name]}
    if name == "type":
        parameter["enum"] = list(subjects.EVENT_TYPES)
    if name == "service":
        parameter["enum"] = list(SERVICES)
    return parameter


def _operation(action: str, channel: str, messages: list[str], summary: str) -> dict[str, Any]:
    return {
        "action": action,
        "summary": summary,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{name}"} for name in messages],
    }


def _message(name: str) -> dict[str, Any]:
    return {"name": name, "contentType": "application/json", "payload": {"$ref": f"./v1/{name}.json"}}
