"""A client for a server of an export.

Letters: B images, N detections.
"""

from collections.abc import Sequence

import numpy as np

from keras_frcnn.export.transports import connect

RANKS = {
    "detection_boxes": 3,
    "detection_scores": 2,
    "detection_classes": 2,
    "num_detections": 1,
    "image_ok": 1,
}


class ServingClient:
    """Send encoded images to TF-Serving, or to any server with its Predict API.

    Args:
        url: "http://HOST:8501/v1/models/NAME" for REST, "grpc://HOST:8500/NAME" for gRPC (which needs the
            extra `serving`); both may end in "/versions/NUMBER" or "/labels/LABEL", and a path may precede
            the "v1/models" of REST.
        timeout: seconds to wait for an answer.

    Raises:
        ValueError: the URL has neither form, or a package is missing.

    Example:
        >>> with ServingClient("http://localhost:8501/v1/models/cells") as client:
        ...     client.detect([open("cells.jpg", "rb").read()])[0]["labels"]
    """

    def __init__(self, url: str, timeout: float = 30.0):
        self.url = url
        self.predict, self._close = connect(url, timeout)

    def __enter__(self) -> "ServingClient":
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        """Close the connection; the client cannot be used afterwards."""
        self._close()

    def detect(self, contents: Sequence[bytes]) -> list[dict[str, np.ndarray] | None]:
        """Detect objects in encoded images, all in one request.

        Args:
            contents: list of bytes, JPEG, PNG, GIF or BMP.

        Returns:
            List with one entry per image: None if the server could not read it, otherwise a dict of arrays
            "boxes" float32 `[N, 4]` (xyxy as fractions of the upright image), "scores" float32 `[N]` and
            "labels" int32 `[N]` (0…K−1).

        Raises:
            ConnectionError, TimeoutError: there is no server, or it is overloaded or slow.
            ValueError: it rejected the request, or its answer is not that of a keras_frcnn export.
        """
        if not contents:
            return []
        answer = self._checked(
            self.predict("serving_bytes", {"image_bytes": np.array(contents, object)}), len(contents)
        )
        return [_detections(answer, row) if answer["image_ok"][row] else None for row in range(len(contents))]

    def _checked(self, answer, batch):
        absent = [name for name in RANKS if name not in answer]
        if absent:
            raise ValueError(
                f"{self.url} answers without {', '.join(absent)}; serve an export of keras_frcnn."
            )
        for name, rank in RANKS.items():
            value = answer[name]
            if value.dtype.kind not in "fiu" or value.ndim != rank or len(value) != batch:
                raise ValueError(
                    f"{self.url} answers {name} as {value.dtype} {list(value.shape)}, which is none of an "
                    "export of keras_frcnn; serve one."
                )
        return answer


def _detections(answer, row):
    count = int(answer["num_detections"][row])
    boxes = np.asarray(answer["detection_boxes"][row, :count], np.float32)
    return {
        "boxes": boxes[:, [1, 0, 3, 2]],
        "scores": np.asarray(answer["detection_scores"][row, :count], np.float32),
        "labels": np.asarray(answer["detection_classes"][row, :count], np.int32) - 1,
    }
