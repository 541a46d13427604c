import pytest

from kvision.checks import UserError
from kvision.serving import server
from kvision.serving.service import Service

grpc = pytest.importorskip("grpc", reason="extra `serving`")
pytest.importorskip("tensorflow_serving", reason="extra `serving`")


def test_two_servers_do_not_share_a_port(version):
    service = Service(version, "tiny")
    running, port = server.start(service, "127.0.0.1", 0)
    try:
        assert port > 0
        with pytest.raises(UserError, match="`port` cannot be listened on"):
            server.start(service, "127.0.0.1", port)
        with pytest.raises(UserError, match="`port` cannot be listened on"):
            server.start(service, "no such host", 0)
    finally:
        running.stop(None).wait()


def test_methods_that_are_not_served_say_so(version):
    from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc

    running, port = server.start(Service(version, "tiny"), "127.0.0.1", 0)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            with pytest.raises(grpc.RpcError) as caught:
                stub.Classify(classification_pb2.ClassificationRequest(), timeout=30)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    finally:
        running.stop(None).wait()
