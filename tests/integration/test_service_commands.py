"""The commands of the services, as somebody calls them who has read nothing."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.scrape import scrape

SERVICES = ["orchestrator", "zone_supervisor", "pod_agent"]


@pytest.mark.parametrize("service", SERVICES)
def test_help_says_where_the_settings_are(service: str) -> None:
    said = subprocess.run([sys.executable, "-m", f"treeward.{service}", "--help"], capture_output=True, text=True)
    assert said.returncode == 0
    assert "TREEWARD_NATS_URL" in said.stdout


@pytest.mark.parametrize("service", SERVICES)
def test_an_argument_that_does_not_exist_is_named(service: str) -> None:
    said = subprocess.run([sys.executable, "-m", f"treeward.{service}", "--zone=a"], capture_output=True, text=True)
    assert said.returncode == 2
    assert "--zone=a" in said.stderr


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_has_not_reached_nats_shows_that_and_ends_at_once_when_told(
    service: str, tmp_path: Path
) -> None:
    settings = {"NATS_URL": "nats://127.0.0.1:9", "LOG_FORMAT": "json", "HTTP_PORT": "0"}
    environment = os.environ | {f"TREEWARD_{name}": value for name, value in settings.items()}
    command = [sys.executable, "-m", f"treeward.{service}"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        with (tmp_path / "log").open("w") as log:
            while "the link to NATS is down" not in (line := process.stderr.readline()):
                assert line, "it ended by itself"
                log.write(line)
        try:
            assert scrape(tmp_path / "log", "treeward_nats_connected") == 0.0, "there is an alert for that"
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0


def test_a_service_whose_log_nobody_reads_any_more_ends_when_told() -> None:
    environment = os.environ | {"TREEWARD_NATS_URL": "nats://127.0.0.1:9", "TREEWARD_LOG_FORMAT": "json"}
    command = [sys.executable, "-m", "treeward.pod_agent"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        while "the link to NATS is down" not in (line := process.stderr.readline()):
            assert line, "it ended by itself"
        process.stderr.close()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        finally:
            process.kill()
