"""What all heads share: scikit-learn's contract, and a layer that computes the same numbers wherever it runs."""

import json
import os
import sys
import warnings

import forks
import keras
import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import kvision as kv
from kvision.export import litert

# head -> (ours, scikit-learn's, tolerance of a probability)
HEADS = {
    "knn": (kv.heads.KNNHead(5), KNeighborsClassifier(5, algorithm="brute"), 1e-6),
    "knn distance": (kv.heads.KNNHead(7, weights="distance"), KNeighborsClassifier(7, weights="distance"), 1e-5),
    "knn cosine": (kv.heads.KNNHead(3, metric="cosine"), KNeighborsClassifier(3, metric="cosine"), 1e-6),
    "forest": (kv.heads.ForestHead(15), RandomForestClassifier(15, random_state=0), 1e-6),
    "logistic": (
        kv.heads.LogisticHead(0.1),
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000)),
        1e-5,
    ),
}


@pytest.mark.parametrize(
    "head", [kv.heads.KNNHead(), kv.heads.ForestHead(3), kv.heads.LogisticHead(), kv.heads.PrototypeHead()], ids=repr
)
def test_scikit_learns_contract(head):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, about the checks it skips
        rounding = {"check_methods_sample_order_invariance": "to 1e-7, where float32 rounds: see the test below"}
        results = check_estimator(head, on_fail=None, expected_failed_checks=rounding)
    assert sum(result["status"] == "passed" for result in results) > 50
    known = ("passed", "skipped", "xfail")
    assert not [result["check_name"] for result in results if result["status"] not in known]


@pytest.mark.parametrize("name", HEADS)
def test_the_order_of_the_rows_does_not_matter(blobs, name):
    """A product of matrices in float32 rounds a row differently at another place of the batch."""
    (features, labels), (queries, _) = blobs
    head = HEADS[name][0].fit(features, labels)
    order = np.random.default_rng(0).permutation(len(queries))
    np.testing.assert_allclose(head.predict_proba(queries[order]), head.predict_proba(queries)[order], rtol=2e-6)


@pytest.mark.parametrize("name", HEADS)
def test_equals_scikit_learn_everywhere(tmp_path, blobs, name):
    """Head, layer, reloaded `.keras`, SavedModel and TFLite against scikit-learn on the same features."""
    head, reference, tolerance = HEADS[name]
    (features, labels), (queries, _) = blobs
    expected = reference.fit(features, labels).predict_proba(queries)
    head.fit(features, labels)
    np.testing.assert_array_equal(head.classes_, reference.classes_)

    inputs = keras.Input((24,), name="features")
    model = keras.Model(inputs, head.to_layer()(inputs))
    model.save(tmp_path / "model.keras")
    model.export(tmp_path / "saved", verbose=False)
    reloaded = keras.models.load_model(tmp_path / "model.keras")
    serve = keras.layers.TFSMLayer(tmp_path / "saved", call_endpoint="serve")
    interpreter = litert.interpreter(litert.convert(model))
    runner = interpreter.get_signature_runner() if interpreter.get_signature_list() else None
    answers = {
        "head": head.predict_proba(queries),
        "layer": model.predict_on_batch(queries),
        ".keras": reloaded.predict_on_batch(queries),
        "SavedModel": np.asarray(serve(queries)),
        "TFLite": _run(interpreter, queries) if runner is None else next(iter(runner(image=queries).values())),
    }
    for where, probabilities in answers.items():
        assert probabilities.dtype == np.float32 or where == "head"
        np.testing.assert_allclose(probabilities, expected, atol=tolerance, err_msg=where)
        np.testing.assert_array_equal(probabilities.argmax(1), expected.argmax(1), err_msg=where)


def _run(interpreter, queries):
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, queries.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, queries)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


@pytest.mark.parametrize("name", HEADS)
def test_two_classes_and_names(blobs, name):
    head, reference, tolerance = HEADS[name]
    (features, labels), (queries, _) = blobs
    names = np.array(["mouse", "lynx", "mouse", "lynx"])[labels]
    expected = reference.fit(features, names).predict_proba(queries)
    head.fit(features, names)
    assert head.classes_.tolist() == ["lynx", "mouse"]
    np.testing.assert_allclose(head.predict_proba(queries), expected, atol=tolerance)
    np.testing.assert_array_equal(head.predict(queries), reference.predict(queries))


def test_one_class_is_refused_and_unfitted_is_said(blobs):
    (features, _), _ = blobs
    for head, *_ in HEADS.values():
        with pytest.raises(ValueError, match="at least two classes"):
            head.fit(features, np.zeros(160))
    with pytest.raises(NotFittedError):
        kv.heads.KNNHead().predict(features)


def test_jax_computes_the_same(blobs):
    """The same layers on another backend, where TensorFlow cannot be imported."""
    code = (
        "import sys\n"
        "sys.modules['tensorflow'] = None\n"
        "import json, numpy as np, kvision as kv, keras\n"
        "assert keras.backend.backend() == 'jax'\n"
        "x = np.random.default_rng(0).normal(size=(60, 8)).astype('float32'); y = np.arange(60) % 3\n"
        "heads = (kv.heads.KNNHead(3, weights='distance'), kv.heads.ForestHead(9), kv.heads.LogisticHead())\n"
        "print(json.dumps([h.fit(x, y).predict_proba(x[:4] + .1).tolist() for h in heads]))\n"
    )
    answers = {}
    for backend in ("jax", "tensorflow"):
        text = (
            code
            if backend == "jax"
            else code.replace("sys.modules['tensorflow'] = None", "").replace("'jax'", f"'{backend}'")
        )
        environment = {**os.environ, "KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu"}
        result = forks.run([sys.executable, "-c", text], env=environment, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        answers[backend] = np.array(json.loads(result.stdout))
    np.testing.assert_allclose(answers["jax"], answers["tensorflow"], atol=1e-5)
