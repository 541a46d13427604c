"""Multinomial logistic regression on features: the linear probe."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from kvision.heads.converters.linear import linear_arrays, linear_layer, standardizer
from kvision.heads.head import Head

__all__ = ["LogisticHead"]


class LogisticHead(Head):
    """Logistic regression with an L2 penalty (scikit-learn, L-BFGS) on standardized features.

    C: inverse strength of the penalty, scikit-learn's 1. max_iter: L-BFGS iterations; 1000 as CLIP's linear probes
    (Radford et al. 2021, arXiv 2103.00020).

    Standardization is folded into `kernel_` (D, C) and `bias_` (C,) float32. Where a column is so far from 0 that
    float32 would notice, its mean is subtracted first: `center_` (D,) holds these means, and 0 for other columns.
    """

    def __init__(self, C: float = 1.0, *, max_iter: int = 1000):
        self.C = C
        self.max_iter = max_iter

    def _learn(self, X, codes):
        scaler = standardizer(X)
        X = scaler.transform(X)
        # NumPy's and SciPy's BLAS, called in turns, each keep their threads spinning in the other's way: on 2 cores
        # 6,400 x 1,280, 10 classes, C=0.01 took 1.7 s with them and 0.45 s without
        with threadpool_limits(1, user_api="blas"):
            model = LogisticRegression(C=self.C, max_iter=self.max_iter).fit(X, codes)
        kernel, bias, center = linear_arrays(model.coef_, model.intercept_, scaler)
        return {"kernel_": kernel, "bias_": bias, "center_": center, "n_iter_": int(model.n_iter_.max())}

    def _check_learned(self):
        self._check_array("kernel_", "f", self.n_features_in_, len(self.classes_))
        self._check_array("bias_", "f", len(self.classes_))
        if not hasattr(self, "center_"):  # files that were written before there was a center
            self.center_ = np.zeros(self.n_features_in_, "float32")
        self._check_array("center_", "f", self.n_features_in_)

    def _layer(self):
        return linear_layer(self.kernel_, self.bias_, self.center_)
