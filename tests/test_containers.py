"""The image, compose.yaml and the manifests of deploy/: what they say of Loki Web is true of it."""

import json
import re
import shlex
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask import Flask

from loki_web import __version__
from loki_web.app import create_app, create_sidecar
from loki_web.cli import loki_web
from loki_web.config.checks import check_exposure
from loki_web.config.settings import Settings
from tests.support.places import Place
from tests.support.programs import installed, needed, optional, output_of
from tests.support.servers import ROOT

DEPLOY = ROOT / "deploy"
PORT = 57374
LIVE_PORT = 57375

Json = dict[str, Any]


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile with their arguments."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    lines = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ").splitlines()
    words = [line.split(maxsplit=1) for line in lines if line]
    return [(name, rest) for name, rest in words]


def last(name: str) -> str:
    return [rest for each, rest in instructions() if each == name][-1]


def image_environment() -> dict[str, str]:
    return dict(word.split("=", 1) for word in shlex.split(last("ENV")))


def compose() -> Json:
    loaded: Json = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def manifests() -> Iterator[Json]:
    yield from yaml.safe_load_all((DEPLOY / "kubernetes/loki-web.yaml").read_text(encoding="utf-8"))


def manifest(kind: str) -> Json:
    (found,) = (each for each in manifests() if each["kind"] == kind)
    return found


def pod() -> Json:
    spec: Json = manifest("Deployment")["spec"]["template"]["spec"]
    return spec


def ours() -> Iterator[tuple[str, list[str], dict[str, str], set[str]]]:
    """Each use of the image: its name, arguments, variables and writable folders."""
    for name, service in compose()["services"].items():
        if service["image"] == "loki-web":
            folders = {each.rpartition(":")[2] for each in service["volumes"]}
            command = service.get("command", json.loads(last("CMD")))
            yield f"compose {name}", command, service["environment"], folders
    for container in pod()["containers"]:
        folders = {each["mountPath"] for each in container["volumeMounts"]}
        variables = {each["name"]: each["value"] for each in container["env"]}
        yield f"pod {container['name']}", container["args"], variables, folders


def parse(name: str, arguments: list[str]) -> None:
    """Parse the arguments of a command of ours; raises for one that does not exist."""
    parent = loki_web.make_context("loki-web", [name])
    loki_web.commands[name].make_context(name, list(arguments), parent=parent)


def test_the_base_is_pinned_and_the_user_is_not_root() -> None:
    bases = [rest for name, rest in instructions() if name == "FROM"]
    assert all(
        re.match(r"python:3\.11-slim@sha256:[0-9a-f]{64}( AS build)?$", base) for base in bases
    )
    arguments = dict(rest.split("=") for name, rest in instructions() if name == "ARG")
    assert last("USER") == "$UID:$UID"
    assert int(arguments["UID"]) > 0


def test_the_sources_of_the_image_are_in_its_context() -> None:
    admitted = [
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    needed_names = {"loki_web", "deploy", "pyproject.toml", "README.md", "LICENSE"}
    needed_names |= set(next(rest for name, rest in instructions() if name == "COPY").split()[:-1])
    for name in needed_names:
        assert (ROOT / name).exists()
        assert any(fnmatch(name, pattern) for pattern in admitted), name


@pytest.mark.parametrize("use", list(ours()), ids=lambda use: str(use[0]))
def test_each_use_of_the_image_starts(use: tuple[str, list[str], dict[str, str], set[str]]) -> None:
    _, (name, *arguments), variables, folders = use
    parse(name, arguments)
    environment = {**image_environment(), **variables}
    settings = Settings.read(environment)
    check_exposure(settings.host, may_be_open=settings.may_be_open)
    assert settings.port == PORT
    written = {settings.loki_dir, settings.home / ".loki", settings.audit_key, settings.cache_dir}
    for path in written - {None}:
        assert any(Path(str(path)).is_relative_to(folder) for folder in folders), path


def test_server_and_sidecar_share_the_cache() -> None:
    """It has the focus, and the lock of the process that publishes for the machine."""
    folder = image_environment()["LOKI_CACHE_DIR"]
    services = [each for each in compose()["services"].values() if each["image"] == "loki-web"]
    volumes = [dict(each.rsplit(":", 1)[::-1] for each in one["volumes"]) for one in services]
    mounts = [
        {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
        for container in pod()["containers"]
    ]
    assert [one.get(folder) for one in volumes + mounts] == ["cache"] * 4


def test_probes_ask_the_command_of_the_image() -> None:
    probes = [last("HEALTHCHECK").partition("CMD ")[2]]
    services = compose()["services"].values()
    probes += [json.dumps(each["healthcheck"]["test"][1:]) for each in services
               if "healthcheck" in each]  # fmt: skip
    for program, name, *arguments in map(json.loads, probes):
        assert program == "loki-web"
        parse(name, arguments)


def test_services_of_compose_are_hardened_and_fit_each_other() -> None:
    project = compose()
    services, volumes = project["services"], set(project["volumes"])
    for service in services.values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))
        assert set(service.get("depends_on", [])) <= set(services)
        for source in (each.partition(":")[0] for each in service.get("volumes", [])):
            is_named, is_file = re.fullmatch("[a-z]+", source), Path(source).suffix
            assert source in volumes if is_named else not is_file or (DEPLOY / source).is_file()
    upstreams = re.findall(r"server (\w+):(\d+);", (DEPLOY / "compose/upstreams.inc").read_text())
    assert upstreams == [("server", str(PORT)), ("sidecar", str(LIVE_PORT))]
    assert services["sidecar"]["command"][-1] == f"0.0.0.0:{LIVE_PORT}"


@pytest.fixture(scope="module", params=[create_app, create_sidecar])
def application(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Flask]:
    folder = tmp_path_factory.mktemp("application")
    place = Place(folder, folder / ".loki")
    name = "server" if request.param is create_app else "sidecar"
    return name, request.param(place.settings())


def test_probes_of_the_pod_are_answered(application: tuple[str, Flask]) -> None:
    name, app = application
    (container,) = (each for each in pod()["containers"] if each["name"] == name)
    (port,) = (each["name"] for each in container["ports"])
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[probe]["httpGet"]
        assert asked["port"] == port
        answer = app.test_client().get(asked["path"], headers={"Host": "10.1.2.3:57374"})
        assert answer.status_code == 200, asked


def test_the_pod_has_no_rights() -> None:
    spec = pod()
    assert spec["automountServiceAccountToken"] is False
    user = spec["securityContext"]
    assert (user["runAsNonRoot"], user["seccompProfile"]) == (True, {"type": "RuntimeDefault"})
    assert user["runAsUser"] == user["fsGroup"] > 0
    for container in spec["containers"]:
        assert container["image"] == f"loki-web:{__version__}"
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def test_the_manifests_fit_each_other() -> None:
    labels = manifest("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert manifest("Deployment")["spec"]["selector"] == {"matchLabels": labels}
    assert manifest("Service")["spec"]["selector"] == labels
    assert manifest("NetworkPolicy")["spec"]["podSelector"] == {"matchLabels": labels}
    ports = {port["name"]: port["containerPort"] for each in pod()["containers"]
             for port in each["ports"]}  # fmt: skip
    assert ports == {"http": PORT, "live": LIVE_PORT}
    services = {port["name"]: port["targetPort"] for port in manifest("Service")["spec"]["ports"]}
    assert services == {"http": "http", "live": "live"}
    (rule,) = manifest("Ingress")["spec"]["rules"]
    routed = {
        path["path"]: path["backend"]["service"]["port"]["name"] for path in rule["http"]["paths"]
    }
    assert routed == {"/ws": "live", "/api/events": "live", "/": "http"}
    (source,) = manifest("NetworkPolicy")["spec"]["ingress"]
    assert [port["port"] for port in source["ports"]] == list(ports)
    volumes = {each["name"] for each in pod()["volumes"]}
    for container in pod()["containers"]:
        assert {each["name"] for each in container["volumeMounts"]} == volumes


CHECKS = {
    "hadolint": ["Dockerfile"],
    "check-jsonschema": ["--builtin-schema", "vendor.compose-spec", "compose.yaml"],
    "kubernetes-validate": ["--strict", "kubernetes/loki-web.yaml"],
}


@pytest.mark.slow
@pytest.mark.parametrize("program", CHECKS)
def test_linters_find_no_fault(program: str) -> None:
    check([installed(program), *CHECKS[program]])


def test_the_kustomization_can_be_built() -> None:
    program = optional("kubectl", "see kubernetes.io/docs/tasks/tools")
    check([program, "kustomize", "kubernetes"])


def check(command: list[str]) -> None:
    output_of(command, cwd=DEPLOY)


def test_prometheus_reads_its_configuration() -> None:
    check([needed("promtool", "prometheus"), "check", "config", "prometheus/prometheus.yml"])
