"""The variables that a SavedModel has to hold."""

import keras


def variables(model) -> list:
    """List the current variables of the layers of a `Detector`, without those that folding replaced."""
    # Asking the functions for their variables would trace them again.
    parts = vars(model).values()
    weights = [weight for part in parts if isinstance(part, keras.Layer) for weight in part.weights]
    return [weight.value for weight in (*weights, *(own for own in parts if isinstance(own, keras.Variable)))]
