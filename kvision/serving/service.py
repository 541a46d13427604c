"""TF Serving's `Predict` and `GetModelMetadata` for a SavedModel, without a network.

The signatures of a SavedModel run on images of any size, and their errors for wrong inputs are unclear. Therefore
`inputs` checks the inputs first.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from kvision import checks
from kvision.export import alone
from kvision.serving import inputs

__all__ = ["NotFound", "Service"]

_DEFAULT = "serving_default"


class NotFound(checks.UserError):
    """A model, version or signature that is not served here."""


class Service:
    """One version of one model. Its methods take and return messages of `tensorflow_serving.apis`.

    Args:
        folder: The folder of a SavedModel. If the folder name is a number, it is the version. Otherwise the version is
            1.
        name: The name of the model in requests.

    Attributes:
        name: The name of the model in requests.
        version: The number of the version.
        signatures: The functions of the SavedModel by name.

    Raises:
        UserError: If the SavedModel cannot be loaded.
    """

    def __init__(self, folder: Path, name: str):
        self.name, self.version = name, int(folder.name) if folder.name.isdecimal() else 1
        self._loaded = alone.load(folder)  # The signatures have only weak references to the variables.
        from tensorflow.core.protobuf import saved_model_pb2

        file = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        self._definitions = file.meta_graphs[0].signature_def
        self.signatures: Mapping[str, Callable] = self._loaded.signatures

    def predict(self, request):
        """Runs a signature.

        Args:
            request: A `PredictRequest`.

        Returns:
            The `PredictResponse`.

        Raises:
            NotFound: If the model, version or signature is not served here.
            UserError: If the inputs do not fit the signature.
        """
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        self._check_model(request.model_spec)
        name = request.model_spec.signature_name or _DEFAULT
        function = self.signatures[_known("signature_name", name, self.signatures)]
        outputs = function(**inputs.tensors(request.inputs, function.structured_input_signature[1]))
        response = predict_pb2.PredictResponse()
        self._sign(response.model_spec, name)
        for key in request.output_filter or outputs:
            checks.one_of("request.output_filter", key, outputs)
            response.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key].numpy()))
        return response

    def metadata(self, request):
        """Describes the signatures.

        Args:
            request: A `GetModelMetadataRequest` for the field `signature_def`.

        Returns:
            The `GetModelMetadataResponse`.

        Raises:
            NotFound: If the model or version is not served here.
            UserError: If the request contains any field except `signature_def`.
        """
        from tensorflow_serving.apis import get_model_metadata_pb2

        self._check_model(request.model_spec)
        if list(request.metadata_field) != ["signature_def"]:
            raise checks.UserError(
                "request.metadata_field", expected="['signature_def']", received=list(request.metadata_field)
            )
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, definition in self._definitions.items():
            found.signature_def[name].CopyFrom(definition)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        self._sign(response.model_spec)
        response.metadata["signature_def"].Pack(found)
        return response

    def _check_model(self, spec) -> None:
        _known("model_spec.name", spec.name, [self.name])
        if spec.WhichOneof("version_choice"):
            _known("model_spec.version", spec.version_label or str(spec.version.value), [str(self.version)])

    def _sign(self, spec, signature: str = "") -> None:
        spec.name, spec.signature_name = self.name, signature
        spec.version.value = self.version


def _known(argument: str, value: str, choices: Iterable[str]) -> str:
    try:
        return checks.one_of(argument, value, choices)
    except checks.UserError as problem:
        raise NotFound(str(problem)) from problem
