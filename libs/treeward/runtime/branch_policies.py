"""What the zone and the pods of a zone say of restarts, kept up to date for the owners of pods that act here.

A pod's policies are in its last event; those of a zone in its last claim, which root renews when they change, since
nobody else may read root's log. They are no safety: an owner that has not read them yet goes by the settings.
"""

import asyncio

from treeward.bus.interface import BusError, Start, Stored
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.runtime.readers import Readers
from treeward.runtime.tasks import Tasks
from treeward.schemas import streams, subjects
from treeward.supervision.pod_policies import PodPolicies
from treeward.supervision.policies import Said

AGAIN_S = 1.0


class BranchPolicies:
    """The policies of one zone and its pods; `follow` hands them to an owner, now and whenever they change."""

    def __init__(self, context: Context, zone: str) -> None:
        self._context = context
        self._zone_name = zone
        self._zone: Said = None
        self._pods: dict[str, Said] = {}
        self._followers: dict[str, PodPolicies] = {}
        self._readers = Readers(context.bus, self._on_lost)
        self._tasks = Tasks()
        self._closed = False

    def start(self) -> None:
        """Begin to read, in the background."""
        self._tasks.spawn(self._read(), name=f"policies of {self._zone_name}")

    def follow(self, pod: str, policies: PodPolicies) -> None:
        """Keep these up to date; whoever followed for that pod before does no more."""
        self._followers[pod] = policies
        policies.pod = self._pods.get(pod, policies.pod)
        policies.zone = self._zone

    def leave(self, pod: str, policies: PodPolicies) -> None:
        """That owner has ended."""
        if self._followers.get(pod) is policies:
            del self._followers[pod]

    async def close(self) -> None:
        """Stop reading."""
        self._closed = True
        self._tasks.close()
        await self._readers.close()

    async def _read(self) -> None:
        zone = self._zone_name
        of_pods = subjects.log_of_resource(zone, "pod.*")
        while not self._closed:
            readers = self._readers = Readers(self._context.bus, self._on_lost)
            try:
                for subject, deliver in ((of_pods, self._on_pod), (subjects.claim_of_zone(zone), self._on_zone)):
                    await readers.read(streams.log(zone), subject, Start.LAST_PER_SUBJECT, deliver, purged_is_fine=True)
                return
            except BusError as error:
                self._context.log.warning("cannot read policies and tries again", zone=zone, reason=str(error))
                await readers.close()
                await asyncio.sleep(AGAIN_S)

    def _on_lost(self) -> None:
        if not self._closed:
            self._tasks.spawn(self._read_again())

    async def _read_again(self) -> None:
        await self._readers.close()
        await self._read()

    def _on_pod(self, stored: Stored) -> None:
        event = codec.event_of(stored.data)
        if event is not None:
            self._pods[event.id] = event.policies
            if event.id in self._followers:
                self._followers[event.id].pod = event.policies

    def _on_zone(self, stored: Stored) -> None:
        event = codec.event_of(stored.data)
        if event is not None:
            self._zone = event.policies
            for follower in self._followers.values():
                follower.zone = event.policies
