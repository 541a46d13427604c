import io
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("matplotlib", reason="needs the extra `plots`")

from matplotlib.figure import Figure

from kvision import plots
from kvision.plots.names import drawn

NAMES = ["a$b$", r"$\frac{1}$", "_x", "\u7363\ue000"]
IMAGE, LABELS = np.zeros((4, 4, 3), "uint8"), np.arange(16, dtype="uint8").reshape(4, 4) % 4
ROW = {"accuracy": 0.5, "interval": [0.4, 0.6]}
JUDGED = SimpleNamespace(knn=0.5, knn_interval=(0.4, 0.6), linear=0.5, linear_interval=(0.4, 0.6))
PICTURES = {
    "accuracy": lambda axes: plots.accuracy_bars(axes, dict.fromkeys(NAMES, ROW)),
    "bars": lambda axes: plots.class_bars(axes, [0.5] * 4, NAMES, label="IoU"),
    "confusion": lambda axes: plots.confusion_matrix(axes, np.arange(4), np.arange(4), NAMES),
    "embedding": lambda axes: plots.embedding_map(axes, np.eye(8), np.arange(8) % 4, NAMES),
    "maps": lambda axes: plots.label_maps(axes, [IMAGE], [LABELS], [LABELS], NAMES, [(0, 0, 0)] * 4),
    "methods": lambda axes: plots.method_table(axes, dict.fromkeys(NAMES, JUDGED)),
}


@pytest.mark.parametrize("picture", PICTURES)
def test_names_in_any_writing_are_drawn_as_they_are(picture):
    figure = Figure(figsize=(3, 3), dpi=30)
    axes = PICTURES[picture](figure.subplots())
    figure.savefig(io.BytesIO(), format="png")  # a formula that is none raises, a missing glyph warns
    legend = axes.get_legend()
    texts = [*axes.get_xticklabels(), *axes.get_yticklabels(), *(legend.get_texts() if legend else ())]
    assert {name for name in NAMES if name.isascii()} <= {text.get_text() for text in texts}
    assert any(text.get_text().endswith(r"\ue000") for text in texts), "which no font has"


def test_only_characters_without_a_font_are_escaped():
    texts, properties = drawn(["Gr\u00fc\u00dfe", "\u03b1 \u0416", "\ue000"])
    assert texts == ["Gr\u00fc\u00dfe", "\u03b1 \u0416", r"\ue000"] and properties["parse_math"] is False
