"""TF Serving's `Predict` and `GetModelMetadata` over a SavedModel: message in, message out, without a network.

A SavedModel's signatures run on images of any size and say little about a wrong input: `inputs` checks them first.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from kvision import checks
from kvision.export.alone import import_tensorflow
from kvision.export.plain_path import plain_path
from kvision.quiet import quiet
from kvision.serving import inputs

__all__ = ["NotFound", "Service"]

_DEFAULT = "serving_default"


class NotFound(checks.UserError):
    """A model, version or signature that is not served here."""


class Service:
    """One version of one model.

    folder: with `saved_model.pb` in it; its name is the version where that is a number, else the version is 1.
    Raises UserError if it cannot be loaded. Messages are those of `tensorflow_serving.apis`.
    """

    def __init__(self, folder: Path, name: str):
        with quiet():
            import_tensorflow()
            import tensorflow as tf
            from tensorflow.core.protobuf import saved_model_pb2
        self.name, self.version = name, int(folder.name) if folder.name.isdecimal() else 1
        try:
            with quiet(), plain_path(folder) as path:  # it looks for a GPU, loudly
                self._loaded = tf.saved_model.load(str(path))  # kept: the signatures hold its variables weakly
            file = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
        except Exception as reason:  # a damaged file fails in many ways, protobuf's among them
            raise checks.error(
                "MODEL",
                problem=f"cannot be loaded: {str(reason).splitlines()[0]}",
                expected="a SavedModel",
                received=str(folder),
            ) from reason
        self._definitions = file.meta_graphs[0].signature_def
        self.signatures: Mapping[str, Callable] = self._loaded.signatures

    def predict(self, request):
        """PredictRequest -> PredictResponse. Raises NotFound; UserError for inputs that do not fit the signature."""
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        self._check_model(request.model_spec)
        name = request.model_spec.signature_name or _DEFAULT
        function = self.signatures[_known("signature_name", name, self.signatures)]
        outputs = function(**inputs.tensors(request.inputs, function.structured_input_signature[1]))
        response = predict_pb2.PredictResponse()
        self._sign(response.model_spec, name)
        for key in request.output_filter or outputs:
            checks.one_of("output_filter", key, outputs)
            response.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key].numpy()))
        return response

    def metadata(self, request):
        """GetModelMetadataRequest for the field `signature_def` -> GetModelMetadataResponse."""
        from tensorflow_serving.apis import get_model_metadata_pb2

        self._check_model(request.model_spec)
        if list(request.metadata_field) != ["signature_def"]:
            raise checks.error("metadata_field", expected="['signature_def']", received=list(request.metadata_field))
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
