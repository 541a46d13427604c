"""A gRPC server for a `Service`."""

import os
from concurrent.futures import ThreadPoolExecutor

from kvision import checks
from kvision.serving.inputs import MESSAGE_LIMIT
from kvision.serving.service import NotFound, Service

__all__ = ["start"]


def start(service: Service, host: str, port: int):
    """Starts a server.

    Args:
        service: The model to serve.
        host: Address to listen on.
        port: Port to listen on. 0 chooses a free port.

    Returns:
        The running `grpc.Server` and its port.

    Raises:
        UserError: If the port is taken or the host is not known.
    """
    import grpc
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    options = [
        ("grpc.max_receive_message_length", MESSAGE_LIMIT),
        ("grpc.max_send_message_length", MESSAGE_LIMIT),
        ("grpc.so_reuseport", 0),  # Otherwise a second server could share this port and receive some of the requests.
    ]
    server = grpc.server(ThreadPoolExecutor(max_workers=os.cpu_count()), options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_servicer(service), server)
    try:
        port = server.add_insecure_port(f"{host}:{port}")
    except RuntimeError as reason:
        raise checks.UserError(
            "port", problem="cannot be listened on", expected="a free port of this host", received=f"{host}:{port}"
        ) from reason
    server.start()
    return server, port


def _servicer(service: Service):
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_service_pb2_grpc

    codes = {code.value[0]: code for code in grpc.StatusCode}  # TensorFlow uses the same error numbers as gRPC.

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
        """The methods that are served. A call of any different method returns UNIMPLEMENTED."""

        def Predict(self, request, context):
            return answer(service.predict, request, context)

        def GetModelMetadata(self, request, context):
            return answer(service.metadata, request, context)

    return Servicer()
