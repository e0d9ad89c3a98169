"""Ships events into a server with the tools people use: `peers.py ADDRESS TOKEN COUNT`."""

import logging
import sys

from elasticsearch import Elasticsearch, helpers
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpExporter
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.resources import Resource

address, token, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
url = f"http://{address}"
bearer = f"Bearer {token}"


def bulk(client, name):
    actions = ({"_index": name, "_source": {"peer": name, "n": n}} for n in range(count))
    done, errors = helpers.bulk(client, actions)
    assert (done, errors) == (count, []), (done, errors)


def otlp(exporter, name):
    provider = LoggerProvider(resource=Resource.create({"service.name": name}))
    provider.add_log_record_processor(BatchLogRecordProcessor(exporter))
    logger = logging.getLogger(name)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(LoggingHandler(logger_provider=provider))
    for n in range(count):
        logger.info("%s %d", name, n)
    provider.shutdown()


bulk(Elasticsearch(url, api_key=token), "es-key")
bulk(Elasticsearch(url, basic_auth=("any", token), http_compress=True), "es-password")
headers = {"Authorization": bearer}
otlp(HttpExporter(endpoint=f"{url}/v1/logs", headers=headers), "otlp-http")
otlp(HttpExporter(endpoint=f"{url}/v1/logs", headers=headers, compression=Compression.Gzip), "otlp-gzip")
otlp(GrpcExporter(endpoint=address, insecure=True, headers=(("authorization", bearer),)), "otlp-grpc")
