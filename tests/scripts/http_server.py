# An HTTP server on the loopback that knows byte ranges and can cut a download off, for download_test.sh.
#
#   http_server.py FOLDER
#
# Serves FOLDER/archive at any path. Writes its port to FOLDER/port and a line for each request, its Range header or "whole", to
# FOLDER/requests. Where FOLDER/cut_after holds a number, it breaks every connection off after that many bytes of the body.
import http.server
import pathlib
import re
import sys

folder = pathlib.Path(sys.argv[1])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        requested = self.headers.get("Range")
        with open(folder / "requests", "a") as log:
            log.write((requested or "whole") + "\n")
        archive = (folder / "archive").read_bytes()
        size = len(archive)
        start = int(re.fullmatch(r"bytes=(\d+)-", requested)[1]) if requested else 0
        if start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if requested else 200)
        if requested:
            self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
        self.send_header("Content-Length", str(size - start))
        self.end_headers()
        cut_after = folder / "cut_after"
        end = start + int(cut_after.read_text()) if cut_after.exists() else size
        self.wfile.write(archive[start:end])

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
(folder / "port.part").write_text(str(server.server_port))
(folder / "port.part").rename(folder / "port")
server.serve_forever()
