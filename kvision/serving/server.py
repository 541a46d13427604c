"""A gRPC server in front of a `Service`: threads, limits, status codes."""

import os
from concurrent.futures import ThreadPoolExecutor

from kvision import checks
from kvision.serving.inputs import MESSAGE_LIMIT
from kvision.serving.service import NotFound, Service

__all__ = ["start"]


def start(service: Service, host: str, port: int):
    """Starts serving; returns (grpc.Server, port). port: 0 takes a free one. Raises UserError if it is taken."""
    import grpc
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    options = [
        ("grpc.max_receive_message_length", MESSAGE_LIMIT),
        ("grpc.max_send_message_length", MESSAGE_LIMIT),
        ("grpc.so_reuseport", 0),  # else a second server on this port starts too, and both get some of the requests
    ]
    server = grpc.server(ThreadPoolExecutor(max_workers=os.cpu_count()), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_servicer(service), server)
    try:
        port = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as reason:
        raise checks.error(
            "--port", problem="cannot be listened on", expected="a free port of this host", received=f"{host}:{port}"
        ) from reason
    server.start()
    return server, port


def _servicer(service: Service):
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    codes = {code.value[0]: code for code in grpc.StatusCode}  # TensorFlow numbers its errors as gRPC does

    def answer(method, request, context):
        try:
            return method(request)
        except NotFound as problem:
            context.abort(grpc.StatusCode.NOT_FOUND, str(problem))
        except checks.UserError as problem:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(problem))
        except tf.errors.OpError as problem:
            context.abort(codes[problem.error_code], problem.message)

    class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
        """The methods not written here answer UNIMPLEMENTED."""

        def Predict(self, request, context):
            return answer(service.predict, request, context)

        def GetModelMetadata(self, request, context):
            return answer(service.metadata, request, context)

    return Servicer()
