"""Linear SVMs that learn from the hard negatives of many images."""

from collections.abc import Iterable

import keras
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from kvision import checks
from kvision.heads.converters.contract import dense
from kvision.progress import Bar

__all__ = ["UNLEARNED", "MinedSVM", "norm_factor"]

UNLEARNED = -1e4  # the score of a class that could not be learned; finite, so that models with it can be exported
_NORM = 20.0  # mean L2 norm of the features, with which the constants of R-CNN were chosen
_ENTERS, _LEAVES = -1.0001, -1.2  # scores above which a negative enters the cache, and below which it leaves


def norm_factor(norms: np.ndarray) -> float:
    """Returns the factor that brings features with these L2 norms `(n,)` to a mean norm of 20, as in R-CNN's code.

    Raises:
        UserError: If a norm is not finite.
    """
    if not np.isfinite(norms).all():
        raise checks.UserError("the features are not finite: they hold NaN or infinite numbers")
    mean = float(np.mean(norms, dtype="float64")) if len(norms) else 0.0
    return _NORM / mean if mean else 1.0


class MinedSVM(BaseEstimator):
    """One linear SVM for each class, fitted by scikit-learn with hard-negative mining, as in R-CNN.

    An object detector has thousands of negatives per image, and most of them are easy. `fit` keeps only the hard ones
    in memory. It visits the images one after the other. A negative enters the cache of a class if the SVM of the class
    gives it a score above -1.0001. After `retrain_after` new negatives the SVM is fitted again to all positives and the
    cache, and negatives with a score below -1.2 leave the cache.

    The SVMs minimize the hinge loss (liblinear's solver 3). Positives have the weight 2, and the bias is penalized
    little (`intercept_scaling=10`). The features are rescaled so that their mean L2 norm is 20. The factor is folded
    into the learned arrays `kernel_` `(width, classes)` and `bias_` `(classes,)`, float32.

    A class without positives or without negatives cannot be learned. Its score is -10,000 for all features.

    This is no `Head`: a row may be positive for no class, and its labels differ between the classes. So there are no
    `classes_`, `predict` and `predict_proba`.

    Args:
        C: Inverse strength of the penalty, as in `LinearSVC`. The default is the paper's.
        retrain_after: Number of new negatives of a class after which its SVM is fitted again.
        passes: The largest number of passes over the images. One pass is enough in the paper. With more passes, mining
            ends after the first pass in which no negative enters a cache.
        random_state: Seed of the solver. The same seed gives the same SVMs.
        verbose: Shows a progress bar on standard error.

    Example:
        >>> features = np.array([[4.0], [5.0], [0.0], [1.0]], "float32")
        >>> labels = np.array([[1], [1], [-1], [-1]], "int8")
        >>> svm = kv.heads.MinedSVM(C=1.0).fit([(features, labels)])
        >>> (svm.decision_function(features) > 0).ravel().tolist()
        [True, True, False, False]

    References:
        Girshick et al. 2014, arXiv 1311.2524, section 2.3 and appendix B; the constants are those of its code.
        Felzenszwalb et al. 2010, Object detection with discriminatively trained part-based models, section 4.
    """

    def __init__(
        self,
        C: float = 1e-3,
        *,
        retrain_after: int = 2000,
        passes: int = 1,
        random_state: int = 0,
        verbose: bool = False,
    ):
        self.C = C
        self.retrain_after = retrain_after
        self.passes = passes
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, blocks: Iterable[tuple[np.ndarray, np.ndarray]]) -> "MinedSVM":
        """Fits the SVMs. All images are read once for the positives, and once in each pass.

        Args:
            blocks: A pair for each image: features `(n, width)`, float, and labels `(n, classes)`, int8. A label is 1
                for a positive, -1 for a negative, and 0 for a row that the class does not use. A pair may be loaded
                from disk when it is indexed: `blocks` is iterated several times, and only positives and hard negatives
                stay in memory.

        Returns:
            The fitted object.

        Raises:
            UserError: If there are no images, if the shapes do not fit together, if a feature is not finite, or if
                `blocks` can be iterated only once.
        """
        checks.positive({"C": self.C, "retrain_after": self.retrain_after, "passes": self.passes})
        if iter(blocks) is blocks:
            raise checks.UserError(
                "blocks", problem="can be iterated only once", expected="a sequence", received=type(blocks).__name__
            )
        positives = self._positives(blocks)
        classes = len(positives)
        self.kernel_ = np.zeros((positives[0].shape[1], classes), "float32")
        self.bias_ = np.zeros(classes, "float32")
        # The classes share the rows in their caches. A row is freed when it has left all of them.
        caches: list[dict[tuple[int, int], np.ndarray]] = [{} for _ in positives]
        fresh, fitted = np.zeros(classes, int), np.zeros(classes, bool)  # fresh: rows that entered since the last fit

        def refit(which: np.ndarray) -> None:
            for label in np.flatnonzero(which):
                self._refit(label, positives[label], caches[label])
            fresh[which], fitted[which] = 0, True

        for _ in range(self.passes):
            total = 0
            for image, (features, labels) in enumerate(Bar(blocks, "mining", leave=False, disable=not self.verbose)):
                # Without positives there is nothing to learn, and every negative would enter.
                usable = np.where([len(rows) > 0 for rows in positives], labels, 0)
                entered = self._enter(caches, image, features, usable)
                fresh += entered
                total += entered.sum()
                refit(fresh > self.retrain_after)
            refit(fresh > 0)
            if not total:
                break
        self.bias_[~fitted] = UNLEARNED
        return self

    def _positives(self, blocks) -> list[np.ndarray]:
        """Returns the positives of each class, and sets the factor for all features."""
        found: list[list[np.ndarray]] = []
        norms: list[np.ndarray] = []
        widths: set[tuple[int, int]] = set()
        for features, labels in Bar(blocks, "positives", leave=False, disable=not self.verbose):
            features, labels = np.asarray(features), np.asarray(labels)
            if features.ndim != 2 or labels.ndim != 2 or len(features) != len(labels) or not labels.shape[1]:
                received = f"{features.shape} and {labels.shape}"
                raise checks.UserError("blocks", expected="features (n, width), labels (n, classes)", received=received)
            widths.add((features.shape[1], labels.shape[1]))
            found = found or [[] for _ in range(labels.shape[1])]
            norms.append(np.linalg.norm(features.astype("float32"), axis=1))
            if len(widths) == 1:
                for rows, positive in zip(found, labels.T == 1, strict=True):
                    rows.append(features[positive].astype("float32"))
        if len(widths) != 1:
            expected = "images with the same width and the same classes"
            raise checks.UserError("blocks", expected=expected, received=sorted(widths))
        self._factor = norm_factor(np.concatenate(norms))
        return [np.concatenate(rows) for rows in found]

    def _enter(self, caches, image: int, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Adds the hard negatives of an image to the caches, and returns their number for each class."""
        hard = (labels == -1) & (self.decision_function(features) > _ENTERS)
        before = np.array([len(cache) for cache in caches])
        for row in np.flatnonzero(hard.any(axis=1)):
            vector = np.array(features[row], "float32")  # a copy, because a view would keep the image in memory
            for label in np.flatnonzero(hard[row]):
                caches[label].setdefault((image, int(row)), vector)
        return np.array([len(cache) for cache in caches]) - before

    def _refit(self, label: int, positives: np.ndarray, cache: dict) -> None:
        """Fits the SVM of a class to its positives and its cache, and removes easy negatives from the cache."""
        rows = np.concatenate([positives, np.stack(list(cache.values()))]) * np.float32(self._factor)
        targets = np.repeat([1, -1], [len(positives), len(cache)])
        svm = LinearSVC(
            C=self.C,
            loss="hinge",
            dual=True,
            intercept_scaling=10,
            class_weight={1: 2},
            random_state=self.random_state,
            max_iter=10_000,
        ).fit(rows, targets)
        self.kernel_[:, label], self.bias_[label] = svm.coef_[0] * self._factor, svm.intercept_[0]
        scores = svm.decision_function(rows[len(positives) :])
        for key in [key for key, score in zip(cache, scores, strict=True) if score < _LEAVES]:
            del cache[key]

    def decision_function(self, features: np.ndarray) -> np.ndarray:
        """Returns the scores `(n, classes)`, float32, of features `(n, width)`. A score above 0 means positive."""
        check_is_fitted(self)
        return np.asarray(features, "float32") @ self.kernel_ + self.bias_

    def to_layer(self) -> keras.layers.Layer:
        """Creates the Dense layer that computes `decision_function`, float32."""
        check_is_fitted(self)
        return dense(self.kernel_, self.bias_, name="margins")

    def arrays(self) -> dict[str, np.ndarray]:
        """Returns the learned arrays `kernel` and `bias`, such as for `np.savez`."""
        check_is_fitted(self)
        return {"kernel": self.kernel_, "bias": self.bias_}

    @classmethod
    def from_arrays(cls, kernel: np.ndarray, bias: np.ndarray) -> "MinedSVM":
        """Creates a fitted object from the result of `arrays`.

        Args:
            kernel: `(width, classes)`, float32.
            bias: `(classes,)`, float32.

        Returns:
            The object. Its parameters have their default values.

        Raises:
            UserError: If the shapes do not fit together, or if a number is not finite.
        """
        svm = cls()
        svm.kernel_, svm.bias_ = np.asarray(kernel, "float32"), np.asarray(bias, "float32")
        if svm.kernel_.ndim != 2 or svm.bias_.shape != svm.kernel_.shape[1:]:
            received = f"{svm.kernel_.shape} and {svm.bias_.shape}"
            raise checks.UserError("kernel", expected="(width, classes), and a bias (classes,)", received=received)
        if not (np.isfinite(svm.kernel_).all() and np.isfinite(svm.bias_).all()):
            raise checks.UserError("kernel", expected="finite numbers, also in the bias", received="NaN or infinite")
        return svm
