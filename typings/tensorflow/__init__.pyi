# The stubs of TensorFlow that type checkers bring are incomplete and refuse right calls.
from typing import Any

Tensor = Any
Variable = Any

def __getattr__(name: str) -> Any: ...
