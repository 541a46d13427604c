"""Networks of which a test reads the graph alone."""

import contextlib
from collections.abc import Iterator

import keras
from keras.src.backend.common import global_state  # not public


@contextlib.contextmanager
def without_weights() -> Iterator[None]:
    """What is built while open gets no weights, which takes half of the time; nor later, when Keras would make them."""
    with keras.StatelessScope(initialize_variables=False):
        yield
    global_state.set_global_attribute("uninitialized_variables", [])
