import numpy as np
import pytest
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import SelectFromModel, SelectKBest, VarianceThreshold
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import kvision as kv
from kvision.checks import UserError

TRANSFORMERS = [
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    RobustScaler(),
    RobustScaler(with_centering=False, unit_variance=True),
    RobustScaler(with_scaling=False),
    MinMaxScaler((-1, 2)),
    MinMaxScaler(clip=True),
    MaxAbsScaler(),
    Normalizer(),
    PCA(5, random_state=0),
    PCA(5, whiten=True, random_state=0),
    TruncatedSVD(5, random_state=0),
    VarianceThreshold(1.5),
    SelectKBest(k=5),
    SelectFromModel(DecisionTreeClassifier(random_state=0)),
]


@pytest.mark.parametrize("transformer", TRANSFORMERS, ids=repr)
def test_transformers_in_front_of_a_classifier(converted, transformer):
    converted(make_pipeline(transformer, LogisticRegression(max_iter=2000)))


@pytest.mark.parametrize("mean", [1e4, 1e6])
def test_columns_far_from_0(blobs, mean):
    """Their mean folded into the bias of a Dense layer was wrong by .001 and by .15."""
    (features, labels), (queries, _) = blobs
    features, queries = (features + mean).astype("float32"), (queries + mean).astype("float32")
    # in float32 scikit-learn's own MinMaxScaler and PCA lose these digits
    single, double = (StandardScaler(), RobustScaler()), (RobustScaler(), MinMaxScaler(), PCA(8, random_state=0))
    for transformer, dtype in [*((each, "float32") for each in single), *((each, "float64") for each in double)]:
        model = make_pipeline(transformer, LogisticRegression(max_iter=2000))
        model.fit(features.astype(dtype), labels)
        expected = model.predict_proba(queries.astype(dtype))
        np.testing.assert_allclose(kv.heads.from_sklearn(model)(queries), expected, atol=1e-5)


def test_other_norms_are_refused(blobs):
    (features, labels), _ = blobs
    with pytest.raises(UserError, match=r"Normalizer .*norm='l1'"):
        kv.heads.from_sklearn(make_pipeline(Normalizer("l1"), LogisticRegression()).fit(features, labels))
