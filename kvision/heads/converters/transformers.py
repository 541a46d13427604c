"""Transformers before the classifier of a scikit-learn pipeline become layers."""

from typing import Any

import keras
import numpy as np
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_selection import (
    SelectFdr,
    SelectFpr,
    SelectFromModel,
    SelectFwe,
    SelectKBest,
    SelectPercentile,
    VarianceThreshold,
)
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, Normalizer, RobustScaler, StandardScaler

from kvision.heads.converters.contract import Converter, Layers, dense, refused
from kvision.layers import ColumnScaling

__all__ = ["TRANSFORMERS"]


def _standard(scaler: StandardScaler) -> Layers:
    width, factor = scaler.n_features_in_, 1 / scaler.scale_ if scaler.with_std else 1.0
    if not scaler.with_mean:
        return [ColumnScaling.of(width, factor=factor)]
    # Newer versions of scikit-learn round the mean to float32, the type of the features. Older versions do not round
    # it. In both cases the scaler transforms the rounded mean to the offset that remains.
    near = scaler.mean_.astype("float32")
    return [ColumnScaling.of(width, center=near, factor=factor, offset=scaler.transform(near[None])[0])]


def _robust(scaler: RobustScaler) -> Layers:
    center = scaler.center_ if scaler.with_centering else 0.0
    factor = 1 / scaler.scale_ if scaler.with_scaling else 1.0
    return [ColumnScaling.of(scaler.n_features_in_, center=center, factor=factor)]


def _min_max(scaler: MinMaxScaler) -> Layers:
    settings = {"offset": scaler.feature_range[0], "clip": scaler.feature_range if scaler.clip else None}
    return [ColumnScaling.of(scaler.n_features_in_, center=scaler.data_min_, factor=scaler.scale_, **settings)]


def _max_abs(scaler: MaxAbsScaler) -> Layers:
    clip = (-1, 1) if getattr(scaler, "clip", False) else None  # the parameter exists since scikit-learn 1.9
    return [ColumnScaling.of(scaler.n_features_in_, factor=1 / scaler.scale_, clip=clip)]


def _normalizer(normalizer: Normalizer) -> Layers:
    if normalizer.norm != "l2":
        raise refused(normalizer, f"has norm={normalizer.norm!r}", expected="norm='l2'")
    return [keras.layers.UnitNormalization(axis=1, dtype="float32")]


def _components(pca: PCA) -> Layers:
    kernel = pca.components_.T
    if pca.whiten:
        scale = np.sqrt(pca.explained_variance_)
        kernel = kernel / np.maximum(scale, np.finfo(scale.dtype).eps)
    return [ColumnScaling.of(len(kernel), center=pca.mean_), dense(kernel, None)]


def _singular(svd: TruncatedSVD) -> Layers:
    return [dense(svd.components_.T, None)]


def _selection(selector: Any) -> Layers:
    return [dense(np.eye(selector.n_features_in_, dtype="float32")[:, selector.get_support()], None)]


TRANSFORMERS: dict[type, Converter] = {
    StandardScaler: _standard,
    RobustScaler: _robust,
    MinMaxScaler: _min_max,
    MaxAbsScaler: _max_abs,
    Normalizer: _normalizer,
    PCA: _components,
    TruncatedSVD: _singular,
    **dict.fromkeys(
        (VarianceThreshold, SelectKBest, SelectPercentile, SelectFpr, SelectFdr, SelectFwe, SelectFromModel), _selection
    ),
}
