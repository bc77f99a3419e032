"""Frames of videos and streams, read and written by OpenCV."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from keras_frcnn.data.records import counted
from keras_frcnn.files import flush, partial_of, unwritable
from keras_frcnn.opencv import cv2

# Frames a second of a stream that does not say.
USUAL_RATE = 25.0


class Frames:
    """The frames of a video file or a stream.

    Args:
        name: file or URL.

    Attributes:
        total: int, number of frames; 0 if it is not known, as of streams.
        rate: float, frames a second.

    Raises:
        ValueError: it cannot be opened.
    """

    def __init__(self, name: str):
        self.name = name
        self._capture = cv2.VideoCapture(name)
        if not self._capture.isOpened():
            raise ValueError(f"{name} cannot be opened as a video; check the path or the URL.")
        self.total = max(int(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate < 1000 else USUAL_RATE

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yield uint8 `[H, W, 3]` RGB frames."""
        try:
            while True:
                whole, frame = self._capture.read()
                if not whole:
                    return
                yield np.ascontiguousarray(frame[..., ::-1])
        finally:
            self._capture.release()


class VideoFile:
    """Writes frames into an MP4 file, which appears when it is closed.

    Args:
        path: file to write; an existing one is replaced.
        rate: frames a second.
    """

    def __init__(self, path: Path, rate: float):
        self.path, self.rate = path, rate
        self._partial = partial_of(path)
        self._writer, self._count = None, 0

    def add(self, frame: np.ndarray) -> None:
        """Append a frame, uint8 `[H, W, 3]` RGB; it gets the size of the first one.

        Raises:
            OSError: the file cannot be written.
        """
        if self._writer is None:
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._size = frame.shape[1], frame.shape[0]
            writer = cv2.VideoWriter(str(self._partial), code, self.rate, self._size)
            if not writer.isOpened():
                self._partial.unlink(missing_ok=True)
                raise OSError(f"{self.path} cannot be written; name another folder with --output.")
            self._writer = writer
        if frame.shape[1::-1] != self._size:
            frame = cv2.resize(frame, self._size)  # OpenCV leaves frames of other sizes out
        self._writer.write(frame[..., ::-1])
        self._count += 1

    def close(self) -> None:
        """Finish the file, also after an interruption.

        Raises:
            OSError: not all frames are in it, as on a full disk; what was there before stays.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        try:
            # OpenCV does not tell what it could not write.
            if not self._partial.exists() or Frames(str(self._partial)).total != self._count:
                raise OSError(errno.EIO, f"some of the {counted(self._count, 'frame')} are missing")
            flush(self._partial)
            os.replace(self._partial, self.path)
        except (OSError, ValueError) as error:
            failed = error if isinstance(error, OSError) else OSError(errno.EIO, "it has no end")
            raise unwritable(self.path, failed, "; make room on the disk") from None
        finally:
            self._partial.unlink(missing_ok=True)
