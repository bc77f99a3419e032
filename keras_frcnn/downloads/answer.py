"""One answer of a server, and the reason where there is none."""

import contextlib
import http.client
import re
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from keras_frcnn.version import __version__

# Seconds that a server may take for the next bytes.
PATIENCE = 30
# Bytes of a file, above any that is published, and of one piece of it.
LARGEST, PIECE = 2**31, 2**16
# Answers of servers that are busy or out of order for a while.
FOR_A_WHILE = (408, 425, 429, 500, 502, 503, 504)
# The asked part begins beyond the end of the file.
TOO_FAR = 416


class NotFetched(Exception):
    """A file could not be fetched; the message is the reason.

    Args:
        reason: str.
        final: whether another attempt is useless.
        status: number of the server's answer, if any.
    """

    def __init__(self, reason, final=False, status=None):
        super().__init__(reason)
        self.final, self.status = final, status


class Answer:
    """What a server sends of a file; close it.

    Args:
        url: address, https or http; it may lead on to another of the same kind or to https.
        begin: number of bytes that are there already, after which the server is asked to go on.
        validator: that of an earlier answer: the server begins anew if the file is another one by now.

    Attributes:
        begin: byte at which the answer begins: as asked, or 0.
        total: bytes of the whole file; None if the server does not say.
        validator: what tells versions of the file apart; None if the server does not say.

    Raises:
        NotFetched: there is no answer, or none with the file.
    """

    def __init__(self, url, begin=0, validator=None):
        headers = {"User-Agent": f"keras_frcnn/{__version__}", "Accept-Encoding": "identity"}
        if begin:
            headers["Range"] = f"bytes={begin}-"
            if validator:
                headers["If-Range"] = validator
        request = urllib.request.Request(url, headers=headers)
        with _reasons():
            opened = urllib.request.build_opener(_Redirects).open(request, timeout=PATIENCE)
        self._response = opened
        tag = opened.headers.get("ETag", "")
        self.validator = tag if tag.startswith('"') else opened.headers.get("Last-Modified")
        part = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", opened.headers.get("Content-Range", ""))
        length = opened.headers.get("Content-Length", "")
        self.begin, self.total = 0, int(length) if length.isdecimal() else None
        if opened.status == http.client.PARTIAL_CONTENT:
            if not part or int(part[1]) != begin:
                opened.close()
                raise NotFetched("the server sends another part than it was asked for", final=True)
            self.begin, self.total = begin, None if part[2] == "*" else int(part[2])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._response.close()

    def pieces(self):
        """The bytes of the answer, piece by piece.

        Raises:
            NotFetched: the connection was cut, or there is more than `LARGEST`.
        """
        done = self.begin
        while done <= LARGEST and (self.total or 0) <= LARGEST:
            with _reasons():
                piece = self._response.read1(PIECE)
            if not piece:
                break
            done += len(piece)
            yield piece
        else:
            raise NotFetched(f"it is larger than {LARGEST >> 30} GB", final=True)
        if self.total is not None and done < self.total:
            raise NotFetched(f"the connection was cut after {done} of {self.total} bytes")


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect from https to http."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        kind = urlsplit(newurl).scheme
        if kind not in ("https", urlsplit(req.full_url).scheme):
            raise NotFetched(f"it leads on to {newurl}, which is not https", final=True)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


@contextlib.contextmanager
def _reasons():
    """Turn what the network raises into `NotFetched`."""
    try:
        yield
    except urllib.error.HTTPError as error:
        error.close()
        lasting = error.code not in (*FOR_A_WHILE, TOO_FAR)
        phrase = str(error.reason).partition("\n")[0].rstrip(".")
        raise NotFetched(f"the server answers {error.code} {phrase}", lasting, error.code) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        cause = getattr(error, "reason", error)
        # Some addresses are refused before anything is sent, such as one with a port that is no number.
        final = isinstance(error, (ValueError, http.client.InvalidURL))
        reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
        raise NotFetched(str(reason).partition("\n")[0].rstrip("."), final) from None
