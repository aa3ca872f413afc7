"""What a loop of a service is given when a test runs it in this process."""

from treeward.bus.interface import Bus
from treeward.runtime.clock import SystemClock
from treeward.runtime.context import Context, limits_of
from treeward.runtime.settings import Settings
from treeward.telemetry.logs import get_log
from treeward.telemetry.metrics import Metrics
from treeward.telemetry.traces import tracer_from_environment


def context_of(bus: Bus, name: str, instance: str = "here", *, settings: Settings | None = None) -> Context:
    """That of an instance of the service `name`: the system's clock, metrics of its own, limits as the settings say."""
    settings = settings or Settings()
    return Context(
        bus=bus, clock=SystemClock(), log=get_log(), metrics=Metrics(), tracer=tracer_from_environment(name, instance),
        settings=settings, limits=limits_of(settings), instance=instance, name=name,
    )  # fmt: skip
