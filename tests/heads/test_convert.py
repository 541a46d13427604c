import re
from pathlib import Path

import keras
import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.decomposition import PCA
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PowerTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, ExtraTreeClassifier

import kvision as kv
from kvision.checks import UserError
from kvision.export import litert
from kvision.heads.converters import CLASSIFIERS, TRANSFORMERS

ACCEPTED = [
    LogisticRegression(max_iter=1000),
    LinearDiscriminantAnalysis(),
    make_pipeline(StandardScaler(), LogisticRegression()),
    make_pipeline(StandardScaler(with_mean=False), LogisticRegression(max_iter=1000)),
    make_pipeline(StandardScaler(with_std=False), LogisticRegression(max_iter=1000)),
    DecisionTreeClassifier(max_depth=5, random_state=0),
    ExtraTreeClassifier(random_state=0),
    RandomForestClassifier(12, class_weight="balanced_subsample", random_state=0),
    ExtraTreesClassifier(12, random_state=0),
    KNeighborsClassifier(4),
    KNeighborsClassifier(4, weights="distance", algorithm="kd_tree"),
    KNeighborsClassifier(4, metric="cosine"),
]


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("estimator", ACCEPTED, ids=repr)
def test_fitted_estimators_become_layers(blobs, estimator, classes):
    (features, labels), (queries, _) = blobs
    estimator.fit(features, labels % classes)
    layer = kv.heads.from_sklearn(estimator)
    np.testing.assert_allclose(layer(queries), estimator.predict_proba(queries), atol=1e-5)


@pytest.mark.parametrize(
    "estimator",
    [
        GaussianNB(),
        RandomForestRegressor(2),
        make_pipeline(PowerTransformer(), LogisticRegression()),
        make_pipeline(StandardScaler(), GaussianNB()),
        CalibratedClassifierCV(LogisticRegression(max_iter=500), cv=2),
    ],
    ids=repr,
)
def test_others_are_refused_by_name(blobs, estimator):
    (features, labels), _ = blobs
    with pytest.raises(UserError) as refusal:
        kv.heads.from_sklearn(estimator.fit(features, labels))
    last = estimator[-1] if isinstance(estimator, Pipeline) else estimator
    strange = "PowerTransformer" if "PowerTransformer" in repr(estimator) else type(last).__name__
    assert f"{strange} is not a" in str(refusal.value)
    assert ("StandardScaler" if strange == "PowerTransformer" else "RandomForestClassifier") in str(refusal.value)


def test_pipelines_and_searches_of_supported_ones(converted, blobs):
    (features, labels), _ = blobs
    inner = make_pipeline(StandardScaler(), "passthrough", PCA(6, random_state=0))
    search = GridSearchCV(make_pipeline(inner, SVC(break_ties=True)), {"svc__C": [1, 3]}, cv=2)
    layer = converted(search)
    assert [type(step).__name__ for step in layer.steps] == ["ColumnScaling", "ColumnScaling", "Dense", "Chain"]
    assert "SVC" in layer.note
    converted(make_pipeline(StandardScaler(), KNeighborsClassifier(3)))
    converted(make_pipeline(StandardScaler(), RandomizedSearchCV(KNeighborsClassifier(), {"p": [2]}, n_iter=1)))
    with pytest.raises(UserError, match="GridSearchCV kept no best estimator"):
        kv.heads.from_sklearn(GridSearchCV(SVC(), {"C": [1]}, refit=False, cv=2).fit(features, labels))


def test_every_row_of_the_documented_table_and_no_other_is_converted():
    text = (Path(__file__).resolve().parents[2] / "docs/heads.md").read_text(encoding="utf-8")
    table = text.split("| scikit-learn's classifier |")[1].split("\n\n")[0]
    named = set(re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in table.splitlines()[2:])))
    assert named == {kind.__name__ for kind in (*CLASSIFIERS, *TRANSFORMERS)} | {"Pipeline", "GridSearchCV"}


def test_saved_exported_and_as_tflite(tmp_path, blobs):
    """One of each kind of layer, through every file."""
    (features, labels), (queries, _) = blobs
    front = make_pipeline(StandardScaler(), PCA(6, random_state=0)).fit(features)
    small, asked = front.transform(features), front.transform(queries)
    estimators = [
        make_pipeline(front, SVC().fit(small, labels)),
        make_pipeline(front, GradientBoostingClassifier(n_estimators=3).fit(small, labels)),
        make_pipeline(front, SGDClassifier(loss="modified_huber", random_state=0).fit(small, labels)),
    ]
    heads = [kv.heads.from_sklearn(estimator) for estimator in estimators]
    for place, head in enumerate(heads):
        head.name = f"head_{place}"
    inputs = keras.Input((24,), name="features")
    model = keras.Model(inputs, [head(inputs) for head in heads])
    expected = [np.asarray(output) for output in model.predict_on_batch(queries)]
    for estimator, output in zip(estimators[1:], expected[1:], strict=True):
        np.testing.assert_allclose(output, estimator[-1].predict_proba(asked), atol=1e-5)
    model.save(tmp_path / "model.keras")
    reloaded = keras.models.load_model(tmp_path / "model.keras").predict_on_batch(queries)
    interpreter = litert.interpreter(litert.convert(model))
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, queries.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, queries)
    interpreter.invoke()
    lite = [interpreter.get_tensor(output["index"]) for output in interpreter.get_output_details()]
    for output, again in zip(expected, reloaded, strict=True):
        np.testing.assert_array_equal(again, output)
        assert min(np.abs(found - output).max() for found in lite) < 1e-5


def test_unfitted_ones():
    with pytest.raises(NotFittedError):
        kv.heads.from_sklearn(LogisticRegression())
