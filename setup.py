"""How Loki Web is built and installed; tool settings are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
RUNTIME = (HERE / "requirements.txt").read_text(encoding="utf-8").split()
TEST = [
    "axe-playwright-python>=0.1.8",
    "hypothesis>=6.170",
    "jsonschema>=4.26",
    "mypy>=2.4",
    "nox>=2026.10",
    "openapi-spec-validator>=0.9",
    "playwright>=1.65",
    "pytest>=9.2",
    "pytest-randomly>=5.1",
    "pytest-timeout>=2.4",
    "pytest-xdist>=3.8",
    "requests>=2.32",
    "ruff>=0.17",
    "schemathesis>=4.32",
    "types-cachetools>=6",
    "types-psutil>=7.2",
    "types-requests>=2.32",
    "websocket-client>=1.9",
    "websockets>=17.4",
]

setup(
    name="loki-web",
    version="0.2.0",
    description="The server with which people watch and steer a Loki Mode session",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=find_packages(include=["loki_web", "loki_web.*"]),
    package_data={
        "loki_web": [
            "py.typed",
            "web/api_docs/templates/*",
            "web/api_docs/static/*",
            "dashboard/static/**/*",
        ],
    },
    install_requires=RUNTIME,
    extras_require={"test": TEST},
    entry_points={"console_scripts": ["loki-web=loki_web.cli:main"]},
)
