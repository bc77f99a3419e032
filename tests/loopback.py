"""A server of files on the loopback, which does to each request what a test asks for."""

import contextlib
import http.server
import re
import threading
import time


class Server:
    """Serves files by name, with ranges and a validator, until `close`.

    Attributes:
        files: dict from name to bytes.
        faults: functions for the next requests, first come first served: each gets the handler and the bytes
            of the file, and returns whether it has answered. None answers as usual.
        requests: pairs of the path and the range of every request, "" for the whole file.
        validator: ETag of all files.
    """

    def __init__(self):
        self.files, self.faults, self.requests, self.validator = {}, [], [], '"one"'
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}/models/"
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()

    def _handler(server):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked = self.headers.get("Range", "")
                server.requests.append((self.path, asked))
                body = server.files.get(self.path.rpartition("/")[2])
                fault = server.faults.pop(0) if server.faults else None
                if fault and fault(self, body):
                    return
                if body is None:
                    return self.send_error(404)
                server.send(self, body, asked)

            def log_message(self, *_):
                pass

        return Handler

    def send(self, handler, body, asked="", upto=None):
        """Send a file, or the range of it that is asked for; `upto` cuts the connection at this byte."""
        begin, unchanged = 0, handler.headers.get("If-Range", self.validator) == self.validator
        if asked and unchanged:
            begin = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
            if begin >= len(body):
                return handler.send_error(416)
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
        else:
            handler.send_response(200)
        handler.send_header("ETag", self.validator)
        handler.send_header("Content-Length", str(len(body) - begin))
        handler.end_headers()
        with contextlib.suppress(OSError):  # the other side may have hung up
            handler.wfile.write(body[begin:upto])
        handler.close_connection = True

    def cut(self, at):
        """A fault: the connection ends at this byte of the file."""

        def fault(handler, body):
            self.send(handler, body, handler.headers.get("Range", ""), at)
            return True

        return fault

    def corrupt(self, at):
        """A fault: this byte of the file is another one."""

        def fault(handler, body):
            changed = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
            self.send(handler, changed, handler.headers.get("Range", ""))
            return True

        return fault

    def no_ranges(self):
        """A fault: the server knows no ranges, and sends the whole file."""

        def fault(handler, body):
            self.send(handler, body)
            return True

        return fault

    def answer(self, status, **headers):
        """A fault: a status without a file."""

        def fault(handler, body):
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return True

        return fault

    def delay(self, seconds):
        """A fault: nothing comes for so long; then the usual answer."""

        def fault(handler, body):
            time.sleep(seconds)
            return False

        return fault
