"""Settings: where they come from, which ones win, and what is said when one is wrong."""

from pathlib import Path

import pytest

from treeward.runtime.settings import Settings
from treeward.runtime.settings_file import BadSettingsError, misspelt
from treeward.schemas.streams import Retention


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TREEWARD_{name.upper()}", raising=False)
    monkeypatch.delenv("TREEWARD_SETTINGS", raising=False)


def refusal() -> str:
    with pytest.raises(BadSettingsError) as caught:
        Settings.load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_defaults_are_those_of_the_design() -> None:
    settings = Settings.load()
    assert (settings.heartbeat_s, settings.suspicion_s, settings.epoch_grace_s) == (0.25, 1.5, 1.0)
    assert (settings.resend_s, settings.resend_max_s) == (30, 600)
    assert (settings.window, settings.credit) == (16, 4096)
    assert (settings.restarts_max, settings.restart_period_s) == (5, 60)
    assert (settings.backoff_min_s, settings.backoff_max_s, settings.call_timeout_s) == (0.1, 30, 30)
    assert settings.retention() == Retention()
    assert settings.http_host == "127.0.0.1"


def test_the_environment_sets_every_kind_of_value(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    seed.write_text("SU...")
    for name, value in {
        "NAME": "agent-1", "ZONE": "zone-a", "LABELS": "rack=r1, disk=", "CAPACITY": "3", "REPLICAS": "3",
        "DEVICE": "unix:///run/device", "NATS_URL": "nats://a:4222, tls://b", "NATS_NKEY_FILE": str(seed),
        "HEARTBEAT_S": "0.1", "CLAIM_POLICY": "remote", "HTTP_PORT": "-1", "LOG_LEVEL": "debug", "WINDOW": "",
    }.items():  # fmt: skip
        monkeypatch.setenv(f"TREEWARD_{name}", value)
    settings = Settings.load()
    assert (settings.name, settings.zone, settings.capacity) == ("agent-1", "zone-a", 3)
    assert settings.labels == {"rack": "r1", "disk": ""}
    assert settings.nats_url == ("nats://a:4222", "tls://b")
    assert settings.nats_nkey_file == seed
    assert settings.device == "unix:///run/device"
    assert (settings.replicas, settings.heartbeat_s, settings.claim_policy) == (3, 0.1, "remote")
    assert (settings.http_port, settings.log_level) == (-1, "debug")
    assert settings.window == 16, "an empty variable counts as not set"


def test_settings_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings().window = 1


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("HEARTBEAT_S", "fast", "TREEWARD_HEARTBEAT_S: input should be a valid number, unable to parse "
         "string as a number, not 'fast'"),
        ("HEARTBEAT_S", "0", "TREEWARD_HEARTBEAT_S: input should be greater than 0, not '0'"),
        ("HEARTBEAT_S", "nan", "TREEWARD_HEARTBEAT_S: input should be a finite number, not 'nan'"),
        ("REPLICAS", "2", "TREEWARD_REPLICAS: input should be 1, 3 or 5, not 2"),
        ("CLAIM_POLICY", "any", "TREEWARD_CLAIM_POLICY: input should be 'local' or 'remote', not 'any'"),
        ("HTTP_PORT", "70000", "TREEWARD_HTTP_PORT: input should be less than or equal to 65535, not '70000'"),
        ("ZONE", "a.b", "TREEWARD_ZONE: must be 1 to 64 of the characters A-Z a-z 0-9 _ -, not 'a.b'"),
        ("LABELS", "rack", "TREEWARD_LABELS: must be key=value,key=value, not 'rack'"),
        ("DEVICE", "localhost:1", "TREEWARD_DEVICE: must be tcp://HOST:PORT or unix:///PATH, not 'localhost:1'"),
        ("NATS_NKEY_FILE", "/nowhere", "TREEWARD_NATS_NKEY_FILE: path does not point to a file, not '/nowhere'"),
        ("SUSPICION_S", "0.75", "TREEWARD_SUSPICION_S: must be more than 3 times heartbeat_s, not 0.75"),
        ("EPOCH_GRACE_S", "0.5", "TREEWARD_EPOCH_GRACE_S: must be more than 2 times heartbeat_s, not 0.5"),
        ("CREDIT", "15", "TREEWARD_CREDIT: must be at least window, not 15"),
        ("RESEND_MAX_S", "29", "TREEWARD_RESEND_MAX_S: must be at least resend_s, not 29"),
        ("BACKOFF_MAX_S", "0.05", "TREEWARD_BACKOFF_MAX_S: must be at least backoff_min_s, not 0.05"),
        ("MAILBOX_AGE_S", "1", "TREEWARD_MAILBOX_AGE_S: must be more than suspicion_s, not 1"),
        ("LOG_AGE_S", "6000", "TREEWARD_LOG_AGE_S: must be more than 10 times resend_max_s, not 6000"),
        ("HISTORY_AGE_S", "60", "TREEWARD_HISTORY_AGE_S: must be at least duplicate_window_s, not 60"),
    ],
)  # fmt: skip
def test_a_bad_variable_is_one_line_that_says_what_would_be_right(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, line: str
) -> None:
    monkeypatch.setenv(f"TREEWARD_{name}", value)
    assert refusal() == line


def test_a_password_in_a_bad_server_address_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TREEWARD_NATS_URL", "nats://a,http://user:secret@b")
    line = refusal()
    assert line.startswith("TREEWARD_NATS_URL.1: must be nats://HOST:PORT")
    assert "secret" not in line


def test_two_ways_to_log_in_are_one_too_many(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seed = tmp_path / "seed"
    seed.touch()
    monkeypatch.setenv("TREEWARD_NATS_NKEY_FILE", str(seed))
    monkeypatch.setenv("TREEWARD_NATS_CREDENTIALS_FILE", str(seed))
    assert refusal().startswith("TREEWARD_NATS_NKEY_FILE: is set together with nats_credentials_file")


def test_a_certificate_needs_its_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "certificate"
    file.touch()
    monkeypatch.setenv("TREEWARD_NATS_TLS_CERTIFICATE_FILE", str(file))
    assert refusal().startswith("TREEWARD_NATS_TLS_CERTIFICATE_FILE: and nats_tls_key_file need each other")


@pytest.mark.parametrize(
    ("file_name", "text"),
    [
        ("settings.toml", 'window = 8\nzone = "zone-f"\nlabels = {rack = "r1"}\nnats_url = ["nats://a", "nats://b"]\n'),
        ("settings.yaml", "window: 8\nzone: zone-f\nlabels: {rack: r1}\nnats_url: [nats://a, nats://b]\n"),
    ],
)
def test_the_constructor_wins_over_the_environment_and_that_over_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file_name: str, text: str
) -> None:
    path = tmp_path / file_name
    path.write_text(text)
    monkeypatch.setenv("TREEWARD_SETTINGS", str(path))
    monkeypatch.setenv("TREEWARD_ZONE", "zone-e")
    settings = Settings.load()
    assert (settings.window, settings.zone, settings.labels) == (8, "zone-e", {"rack": "r1"})
    assert settings.nats_url == ("nats://a", "nats://b")
    assert Settings(zone="zone-c", window=4).zone == "zone-c"


@pytest.mark.parametrize(
    ("file_name", "text", "line"),
    [
        ("s.yaml", "zone: zone-a\nwindow: many\n",
         "s.yaml:2: window: input should be a valid integer, unable to parse string as an integer, "
         "not 'many'"),
        ("s.toml", 'zone = "zone-a"\nheartbeat_s = 1\nsuspicion_s = 2\n',
         "s.toml:3: suspicion_s: must be more than 3 times heartbeat_s, not 2"),
        ("s.yaml", "zone: zone-a\nhartbeat_s: 1\n", "s.yaml:2: hartbeat_s: no such setting; did you mean heartbeat_s?"),
        ("s.yaml", "zone: [\n", "s.yaml:2: is no YAML: expected the node content, but found '<stream end>'"),
        ("s.toml", "zone = \n", "s.toml: is no TOML: Invalid value (at line 1, column 8)"),
        ("s.yaml", "- a\n", "s.yaml: must hold settings as name and value, such as heartbeat_s: 0.25"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_file_is_named_with_its_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file_name: str, text: str, line: str
) -> None:
    path = tmp_path / file_name
    path.write_text(text)
    monkeypatch.setenv("TREEWARD_SETTINGS", str(path))
    assert refusal() == f"{tmp_path}/{line}"


def test_a_bad_variable_is_blamed_and_not_the_file_that_it_overrides(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text("window: 8\n")
    monkeypatch.setenv("TREEWARD_SETTINGS", str(path))
    monkeypatch.setenv("TREEWARD_WINDOW", "x")
    assert refusal().startswith("TREEWARD_WINDOW: ")


def test_a_settings_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TREEWARD_SETTINGS", str(tmp_path / "none.yaml"))
    assert refusal() == f"{tmp_path}/none.yaml: cannot be read: No such file or directory"


def test_a_misspelt_variable_is_noticed_and_a_strange_one_is_left_alone() -> None:
    environment = {
        "TREEWARD_HARTBEAT_S": "1",
        "TREEWARD_WINDOW": "8",
        "TREEWARD_ORCHESTRATOR_SERVICE_HOST": "10.0.0.1",
        "TREEWARD_SETTINGS": "settings.yaml",
        "TREEWARD_BOOKS_FILE": "books.sqlite",
        "HEARTBEAT_S": "1",
    }
    assert misspelt("TREEWARD_", Settings.model_fields, environment) == [
        "TREEWARD_HARTBEAT_S: no such setting; did you mean TREEWARD_HEARTBEAT_S?"
    ]
