"""What every loop of a service is given from outside."""

from dataclasses import dataclass

from treeward.bus.interface import Bus
from treeward.runtime.clock import Clock
from treeward.runtime.settings import Settings
from treeward.supervision.limits import Limits
from treeward.telemetry.logs import Log
from treeward.telemetry.metrics import Metrics
from treeward.telemetry.traces import Tracer


@dataclass(frozen=True, slots=True)
class Context:
    """Bus, time, telemetry and limits of one instance; nothing is reached for globally."""

    bus: Bus
    clock: Clock
    log: Log
    metrics: Metrics
    tracer: Tracer
    settings: Settings
    limits: Limits
    instance: str
    name: str

    def now_s(self) -> float:
        """Unix seconds."""
        return self.clock.now_s()


def limits_of(settings: Settings) -> Limits:
    """The limits of the decisions, as the operator set them."""
    return Limits(
        window=settings.window,
        credit=settings.credit,
        resend_s=settings.resend_s,
        resend_max_s=settings.resend_max_s,
        ahead_max=settings.ahead_max,
        call_timeout_s=settings.call_timeout_s,
        restarts_max=settings.restarts_max,
        restart_period_s=settings.restart_period_s,
        backoff_s_min=settings.backoff_min_s,
        backoff_s_max=settings.backoff_max_s,
        pod_restarts_per_s=settings.pod_restarts_per_s,
        pod_restarts_at_once=settings.pod_restarts_at_once,
        heartbeat_s=settings.heartbeat_s,
        suspicion_s=settings.suspicion_s,
        epoch_grace_s=settings.epoch_grace_s,
    )
