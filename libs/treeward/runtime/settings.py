"""Every setting of every service: one frozen object, read from the environment (`TREEWARD_...`) and an optional file.

The environment wins over the file that `TREEWARD_SETTINGS` names (TOML or YAML, the keys are the names below), and
what is passed to the constructor wins over both. Relations between settings that the protocol relies on are checked
here, once, with the reason.
"""

import os
from typing import Literal, Self

from pydantic import Field, FilePath, ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from treeward.runtime.settings_file import BadSettingsError, FileSource, explain
from treeward.runtime.settings_types import (
    DAY_S,
    DeviceAddress,
    Labels,
    Replicas,
    Seconds,
    Servers,
    SubjectPrefix,
    Token,
)
from treeward.schemas import streams
from treeward.supervision.limits import AHEAD_MOST

PREFIX = "TREEWARD_"
FILE_VARIABLE = "TREEWARD_SETTINGS"


class Settings(BaseSettings):
    """What an operator can choose. Times are in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, use_attribute_docstrings=True
    )

    # who this instance is
    name: Token | None = Field(default=None, max_length=57)
    """Name of this instance, the same after a restart; none: the name of the service.

    The id of the instance is this name and six random characters."""
    zone: Token | None = None
    """The zone that it serves; none: any."""
    labels: Labels = Field(default_factory=dict)
    """Labels of this instance, `key=value,key=value`."""
    capacity: int = Field(default=0, ge=0)
    """Branches (zones or pods) that it takes at most; 0: no bound."""
    device: DeviceAddress | None = None
    """Device of the pods of this agent that name none: `tcp://HOST:PORT` or `unix:///PATH`."""

    # NATS
    nats_url: Servers = ("nats://127.0.0.1:4222",)
    """Servers, separated by commas; with `tls://` the connection must be encrypted."""
    nats_nkey_file: FilePath | None = None
    """File with the nkey seed to log in with."""
    nats_credentials_file: FilePath | None = None
    """Credentials file (JWT and seed) to log in with."""
    nats_tls_ca_file: FilePath | None = None
    """Certificate authority that must have signed the servers' certificates; none: those the system trusts."""
    nats_tls_certificate_file: FilePath | None = None
    """Own certificate, where the servers ask for one."""
    nats_tls_key_file: FilePath | None = None
    """Key of the own certificate."""
    nats_inbox_prefix: SubjectPrefix = "_INBOX"
    """Where answers to this program go; with credentials, the prefix that they allow."""
    nats_api_prefix: SubjectPrefix = "$JS.API"
    """How JetStream is called; in an account that has no streams of its own, the prefix of its imports."""

    # detecting and replacing owners
    heartbeat_s: Seconds = 0.25
    """Time between two heartbeats of an instance."""
    suspicion_s: Seconds = 1.5
    """Silence after which an instance is replaced."""
    epoch_grace_s: Seconds = 1.0
    """Time within which a claimed instance must show the epoch that it was given, else it is replaced."""
    claim_policy: Literal["local", "remote"] = "local"
    """Whom a supervisor claims a silent owner's branch for: one with the same labels first, or one elsewhere."""

    # dispatch
    resend_s: Seconds = 30.0
    """A unit that is not answered within this time is sent again; doubles each time."""
    resend_max_s: Seconds = 600.0
    """Upper bound of that doubling."""
    window: int = Field(default=16, ge=1, le=1024)
    """Units of one resource that may be in its mailbox at once."""
    credit: int = Field(default=4096, ge=1)
    """Units that may be in the mailboxes of one pod at once."""

    ahead_max: int = Field(default=1, ge=1, le=AHEAD_MOST)
    """Units of one resource that are called before the outcome of the first is stored, with a device that remembers as
    many tickets; 1: each outcome is stored before the next unit is called. More helps a hot resource where the log has
    three replicas, and only once every program is of a version that knows this setting (docs/upgrade.md)."""

    # recovery
    restarts_max: int = Field(default=5, ge=0)
    """Restarts of a process within the period before it is quarantined or escalated."""
    restart_period_s: Seconds = 60.0
    """The period in which restarts are counted."""
    backoff_min_s: Seconds = 0.1
    """Pause before the first restart; doubles each time, with jitter."""
    backoff_max_s: Seconds = 30.0
    """Upper bound of that pause."""
    pod_restarts_per_s: float = Field(default=200.0, gt=0, le=1e6)
    """Restarts that a pod begins in a second; what crashed beyond that stands in line."""
    pod_restarts_at_once: int = Field(default=256, ge=1)
    """Restarts of a pod that its device has not accepted yet, at most."""
    call_timeout_s: Seconds = 30.0
    """A device call without an answer for this long ends the life; the next one finds out."""

    # looking for what others have changed
    background_synchronization_s: float = Field(default=DAY_S, ge=0, le=36_525 * DAY_S, allow_inf_nan=False)
    """Within so long each resource is compared with its device once; 0: never."""
    background_per_s: float = Field(default=20.0, gt=0, le=1e6)
    """Resources of a pod that are compared in a second, at most: with more of them a round takes longer."""

    # retention, used when a zone's streams are made
    replicas: Replicas = 1
    """Copies of each stream; 3 or 5 need as many NATS servers."""
    log_age_s: Seconds = 7 * DAY_S
    """How long events stay in the log."""
    history_age_s: Seconds = 30 * DAY_S
    """How long submitted units stay in the history."""
    mailbox_age_s: Seconds = 120.0
    """How long a message may wait in a mailbox."""
    mailbox_leaderless_s: Seconds = 10.0
    """A mailbox stream that has had no leader for so long is made anew; an election takes 4 to 8 s."""
    duplicate_window_s: Seconds = 120.0
    """Time in which a second submit with the same `Nats-Msg-Id` is recognized."""

    # the program itself
    http_host: str = Field(default="127.0.0.1", min_length=1)
    """Address that the health and metrics port listens on."""
    http_port: int = Field(default=0, ge=-1, le=65535)
    """That port; 0: any free one (it is logged), -1: none."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is logged."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """How it is written; `auto`: console on a terminal, else json."""
    stop_timeout_s: Seconds = 30.0
    """Time to finish what is in hand after SIGTERM before the program is cut short."""
    lag_max_s: Seconds = 5.0
    """`/livez` fails when the event loop was held up for longer than this within the last 10 s."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What is passed in, then the environment, then the file."""
        return init_settings, env_settings, FileSource(settings_cls, FILE_VARIABLE)

    @model_validator(mode="after")
    def _relations(self) -> Self:
        for field, holds, rule in (
            ("suspicion_s", self.suspicion_s > 3 * self.heartbeat_s, "must be more than 3 times heartbeat_s"),
            ("epoch_grace_s", self.epoch_grace_s > 2 * self.heartbeat_s, "must be more than 2 times heartbeat_s"),
            ("resend_max_s", self.resend_max_s >= self.resend_s, "must be at least resend_s"),
            # a pod must hold the window of one resource at least
            ("credit", self.credit >= self.window, "must be at least window"),
            ("backoff_max_s", self.backoff_max_s >= self.backoff_min_s, "must be at least backoff_min_s"),
            # what waits in a mailbox should outlive a takeover
            ("mailbox_age_s", self.mailbox_age_s > self.suspicion_s, "must be more than suspicion_s"),
            # dispatchers that were away and the state buckets catch up from the log
            ("log_age_s", self.log_age_s > 10 * self.resend_max_s, "must be more than 10 times resend_max_s"),
            ("history_age_s", self.history_age_s >= self.duplicate_window_s, "must be at least duplicate_window_s"),
            (
                "nats_nkey_file",
                not (self.nats_nkey_file and self.nats_credentials_file),
                "is set together with nats_credentials_file, one of them is enough",
            ),
            (
                "nats_tls_certificate_file",
                (self.nats_tls_certificate_file is None) == (self.nats_tls_key_file is None),
                "and nats_tls_key_file need each other, set both or none",
            ),
        ):
            if not holds:
                value = getattr(self, field)
                raise ValueError(f"{field}: {rule}" + (f", not {value:g}" if isinstance(value, int | float) else ""))
        return self

    @classmethod
    def load(cls) -> "Settings":
        """The settings of this process; raises BadSettingsError with one line for whoever set them."""
        try:
            return cls()
        except ValidationError as error:
            line = explain(error, prefix=PREFIX, file_variable=FILE_VARIABLE, environment=os.environ)
            raise BadSettingsError(line) from None

    def retention(self) -> streams.Retention:
        """The retention of a zone's streams."""
        return streams.Retention(
            replicas=self.replicas,
            log_age_s=self.log_age_s,
            history_age_s=self.history_age_s,
            mailbox_age_s=self.mailbox_age_s,
            duplicate_window_s=self.duplicate_window_s,
        )
