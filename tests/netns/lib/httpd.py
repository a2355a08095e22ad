# SPDX-License-Identifier: GPL-2.0-or-later
"""The demo's web server: GET gives the file, PUT answers with the SHA-256 of what came.

usage: httpd.py FILE PORT; begin it under mptcpize, which makes its sockets Multipath TCP.
"""
import hashlib
import http.server
import shutil
import sys


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(sys.argv[1], "rb") as f:
            self.send_response(200)
            self.send_header("Content-Length", str(f.seek(0, 2)))
            self.end_headers()
            f.seek(0)
            shutil.copyfileobj(f, self.wfile, 1 << 20)

    def do_PUT(self):
        digest, left = hashlib.sha256(), int(self.headers["Content-Length"])
        if self.headers.get("Expect"):
            self.send_response_only(100)
            self.end_headers()
        while left:
            piece = self.rfile.read(min(left, 1 << 18))
            if not piece:
                return
            digest.update(piece)
            left -= len(piece)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(digest.hexdigest().encode())

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("0.0.0.0", int(sys.argv[2])), Handler).serve_forever()
