"""Files that others publish: fetched once, checked, and kept where Keras keeps its own."""

from keras_frcnn.downloads.locking import lock
from keras_frcnn.downloads.mirror import PUBLISHER, VARIABLE, from_mirror
from keras_frcnn.downloads.published import folder, published

__all__ = ["PUBLISHER", "VARIABLE", "folder", "from_mirror", "lock", "published"]
