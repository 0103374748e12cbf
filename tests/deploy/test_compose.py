"""docker-compose.yml and the Dockerfile, held against what they name: settings, commands, files, each other."""

import json
import re
import shutil
import subprocess
import tomllib
from typing import Any

import pytest
import typer
import yaml

from pipeline import cli
from pipeline.settings import Settings
from tests.paths import REPOSITORY

COMPOSE = REPOSITORY / "docker-compose.yml"
DEPLOY = REPOSITORY / "deploy"
DOCKERFILE = (REPOSITORY / "deploy" / "Dockerfile").read_text()
IGNORED = (REPOSITORY / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
KNOWN = {
    "image",
    "build",
    "init",
    "read_only",
    "tmpfs",
    "cap_drop",
    "security_opt",
    "env_file",
    "environment",
    "volumes",
    "restart",
    "stop_grace_period",
    "depends_on",
    "ports",
    "healthcheck",
    "entrypoint",
    "command",
}
CONDITIONS = {"service_started", "service_healthy", "service_completed_successfully"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content = yaml.safe_load(COMPOSE.read_text())
    assert set(content) - {"services", "volumes"} == {name for name in content if name.startswith("x-")}
    return dict(content)


def ours(compose: dict[str, Any]) -> dict[str, Any]:
    return {name: service for name, service in compose["services"].items() if service.get("image") == "tocsin"}


def test_the_services_are_the_broker_the_mail_server_and_the_same_processes(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {
        "kafka",
        "postgres",
        "mailpit",
        "init",
        "decide",
        "deliver",
        "record",
        "web",
        "projector",
        "prometheus",
        "grafana",
    }
    assert set(ours(compose)) == {"init", "decide", "deliver", "record", "web", "projector"}
    for name, service in compose["services"].items():
        assert set(service) <= KNOWN, name


def test_every_dependency_exists_and_can_meet_its_condition(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for needed, how in service.get("depends_on", {}).items():
            assert how["condition"] in CONDITIONS
            if how["condition"] == "service_healthy":
                assert "healthcheck" in compose["services"][needed]
            if how["condition"] == "service_completed_successfully":
                assert "restart" not in compose["services"][needed], "it would never be completed"


def test_every_volume_is_declared_and_every_declared_one_is_used(compose: dict[str, Any]) -> None:
    mounts = [mount.split(":") for service in compose["services"].values() for mount in service.get("volumes", [])]
    assert {source for source, *_ in mounts if not source.startswith("./")} == set(compose["volumes"])
    ours_mounted = [(source, how) for source, _, *how in mounts if source.startswith("./")]
    assert ours_mounted
    assert all((REPOSITORY / source).is_dir() and how == ["ro"] for source, how in ours_mounted)


def test_every_port_is_bound_to_loopback(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert len(ports) == len({port.split(":")[1] for port in ports}) == 7
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_every_port_that_the_web_service_listens_on_is_published_by_the_same_number(compose: dict[str, Any]) -> None:
    web = compose["services"]["web"]
    names = {name.removeprefix("TOCSIN_").lower(): value for name, value in web["environment"].items()}
    settings = Settings(_env_file=None, **names)
    assert (settings.web_host, settings.bounce_host) == ("0.0.0.0", "0.0.0.0")
    assert settings.bounce_port is not None
    published = {int(inside): int(outside) for _, outside, inside in (port.split(":") for port in web["ports"])}
    assert published == {port: port for port in (settings.web_port, settings.bounce_port)}


def test_prometheus_scrapes_the_port_that_the_projector_opens_for_it(compose: dict[str, Any]) -> None:
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    port = compose["services"]["projector"]["environment"]["TOCSIN_METRICS_PORT"]
    assert [one["static_configs"] for one in scraped] == [[{"targets": [f"projector:{port}"]}]]
    assert "ports" not in compose["services"]["projector"]


def test_every_figure_that_is_shown_or_alerted_of_is_one_that_is_served() -> None:
    rules = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"][0]["rules"]
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "tocsin.json").read_text())
    asked = [rule["expr"] for rule in rules]
    asked += [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    served = re.findall(r'"(tocsin_\w+)"', (REPOSITORY / "pipeline" / "honesty" / "exporter.py").read_text())
    names = {name for expr in asked for name in re.findall(r"tocsin_\w+", expr)}
    plain = {re.sub("_(total|bucket)$", "", name) for name in names}
    assert len(plain) > 8
    assert plain <= set(served)
    assert all(rule["annotations"]["action"] for rule in rules)


def test_grafana_finds_its_source_and_its_dashboards_where_they_are_mounted(compose: dict[str, Any]) -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "tocsin.yml").read_text())["providers"]
    grafana = compose["services"]["grafana"]
    inside = [mount.split(":")[1] for mount in grafana["volumes"]]
    assert provider["options"]["path"] in inside
    home = grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{provider['options']['path']}/tocsin.json"
    dashboard = json.loads((DEPLOY / "grafana" / "dashboards" / "tocsin.json").read_text())
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}


def test_every_variable_is_a_setting_and_the_values_are_valid(compose: dict[str, Any]) -> None:
    for service in ours(compose).values():
        names = {name.removeprefix("TOCSIN_").lower(): value for name, value in service["environment"].items()}
        assert set(names) <= set(Settings.model_fields)
        Settings(_env_file=None, **names)
    for name in re.findall(r"TOCSIN_(\w+)", DOCKERFILE):
        assert name.lower() in Settings.model_fields


def test_the_file_with_the_logs_key_is_the_record_rooms_alone(compose: dict[str, Any]) -> None:
    def files(service: dict[str, Any]) -> list[str]:
        return [file["path"] for file in service["env_file"]]

    assert {name: files(service) for name, service in ours(compose).items() if files(service) != [".env"]} == {
        "record": [".env", "record.env"]
    }


def test_the_rooms_reach_the_broker_and_the_mail_server_by_the_names_of_their_services(compose: dict[str, Any]) -> None:
    environment = compose["services"]["deliver"]["environment"]
    assert environment["TOCSIN_BROKER"] == "kafka://kafka:19092"
    assert "INSIDE://kafka:19092" in compose["services"]["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert environment["TOCSIN_SMTP_URL"] == "${TOCSIN_SMTP_URL:-smtp://mailpit:1025}"


def test_every_command_is_one_of_the_command_line(compose: dict[str, Any]) -> None:
    for name, service in ours(compose).items():
        if name != "init":
            assert_command(service["command"])
    steps = compose["services"]["init"]["command"][0].split(" && ")
    assert steps[0] == "python -m pipeline.broker"
    assert_command(steps[1].split()[1:])


def assert_command(words: list[str]) -> None:
    if words[0] == "worker":
        assert words[1:] in [[role.value] for role in cli.Role]
        return
    command = cli.load(words[0])
    context = typer.Context(command)
    for word in words[1:]:
        command = command.get_command(context, word)
        assert command is not None, words


def test_the_image_is_built_from_files_that_exist_and_are_let_in() -> None:
    copied = [
        line.split()[1:-1] for line in DOCKERFILE.splitlines() if line.startswith("COPY ") and "--from" not in line
    ]
    for path in [path for paths in copied for path in paths]:
        assert (REPOSITORY / path).exists()
        assert f"!{path}" in IGNORED
    assert IGNORED[1] == "*"
    wheel = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert {*wheel["packages"], *wheel["force-include"]} <= {path for paths in copied for path in paths}


def test_the_image_installs_by_hash_and_does_not_run_as_root() -> None:
    installs = re.findall(r"pip (?:install|wheel) .*", DOCKERFILE)
    assert len(installs) == 4
    assert all("--require-hashes" in line or "--no-deps" in line for line in installs)
    assert re.search(r"^USER tocsin$", DOCKERFILE, re.MULTILINE)


@pytest.mark.skipif(shutil.which("docker") is None, reason="no docker client here")
def test_docker_itself_accepts_the_file() -> None:
    if subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        pytest.skip("the docker client here has no compose")
    done = subprocess.run(
        ["docker", "compose", "-f", str(COMPOSE), "config", "-q"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
