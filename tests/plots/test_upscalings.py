import numpy as np
from matplotlib.figure import Figure

from kvision import plots

SIDE = 18  # of a cell of the mosaic: 16 pixels and a rim


def test_each_layer_is_a_column_and_artifacts_show():
    drawn = plots.upscalings(Figure().subplots())
    names = [label.get_text() for label in drawn.get_xticklabels()]
    mosaic = np.asarray(drawn.images[0].get_array().filled(np.nan))[::4, ::4]
    assert mosaic.shape == (3 * SIDE, len(names) * SIDE)

    def cell(row: int, name: str) -> np.ndarray:
        column = names.index(name)
        return mosaic[row * SIDE + 1 : (row + 1) * SIDE - 1, column * SIDE + 1 : (column + 1) * SIDE - 1]

    plain = {name: float(np.ptp(cell(2, name)[4:12, 4:12])) for name in names}
    for name in ("nearest", "bilinear", "transposed, bilinear 4x4", "sub-pixel, ICNR"):
        assert plain[name] < 1e-6, name
    for name in ("bed of nails", "max unpooling", "transposed, 3x3 kernel", "sub-pixel, random"):
        assert plain[name] > 0.05, name
    y, x = np.mgrid[:8, :8]
    np.testing.assert_array_equal(cell(0, "nearest"), np.kron((y // 2 + x // 2) % 2, np.ones((2, 2))))
    edge = cell(1, "bilinear")[8]
    assert (np.diff(edge) >= 0).all() and 0 < edge[7] < edge[8] < 1
