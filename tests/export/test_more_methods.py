import pytest

from kvision.export import Fillable, Refinable, Tiled
from kvision.tasks import Classification, Colorization, Detection, Segmentation


@pytest.mark.parametrize(
    ("contract", "task"),
    [(Tiled, Detection), (Refinable, Segmentation), (Fillable, Colorization)],
    ids=["tiled", "refinable", "fillable"],
)
def test_each_contract_has_a_task_and_classification_has_none(contract, task):
    assert issubclass(task, contract) and not issubclass(Classification, contract)
