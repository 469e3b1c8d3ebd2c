"""`/metrics`, computed from the files at scrape time: every worker gives the same answer."""

from flask import Flask
from prometheus_client import CollectorRegistry
from prometheus_flask_exporter import PrometheusMetrics

from loki_web.services.sources import Sources


def install(app: Flask, sources: Sources) -> None:
    registry = CollectorRegistry()
    PrometheusMetrics(app, path="/metrics", registry=registry, export_defaults=False)
