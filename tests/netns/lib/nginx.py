# SPDX-License-Identifier: GPL-2.0-or-later
"""Debian's nginx as it comes, with files of known content, in a namespace; it speaks plain TCP."""
import hashlib
import os
import random
import shutil
import subprocess

from . import ns
from .ns import Failure

CONFIG = """
daemon off;
master_process on;
worker_processes 1;
user root;
pid {dir}/pid;
error_log {dir}/error.log;
events {{ worker_connections 16384; }}
worker_rlimit_nofile 32768;
http {{
    access_log off;
    sendfile on;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 0.0.0.0:{port} backlog=4096;
        listen [::]:{port} backlog=4096;
        root {dir}/www;
    }}
}}
"""


class Nginx:
    """`files`: {name: bytes}, random content; stop() or the end of the run ends it. `wrapper`: what
    it is begun with, as mptcpize."""

    def __init__(self, where, directory, files, port=80, wrapper=()):
        self.directory = f"{directory}/{where.name}-nginx"
        shutil.rmtree(self.directory, ignore_errors=True)
        os.makedirs(f"{self.directory}/www")
        self.sha256 = {}
        for name, size in files.items():
            data = random.Random(name).randbytes(size)
            self.sha256[name] = hashlib.sha256(data).hexdigest()
            with open(f"{self.directory}/www/{name}", "wb") as f:
                f.write(data)
        config = f"{self.directory}/nginx.conf"
        with open(config, "w", encoding="ascii") as f:
            f.write(CONFIG.format(dir=self.directory, port=port))
        where.sh("sysctl -qw net.core.somaxconn=4096")
        self.process = where.start([*wrapper, "nginx", "-p", self.directory, "-c", config],
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            if self.process.poll() is not None:
                raise Failure("nginx ended at once: " + self.errors())
            if where.sh(f"ss -Hltn sport = :{port}").count("LISTEN") == 2:
                return
            ns.run("sleep", "0.05")
        raise Failure("nginx does not listen")

    def errors(self):
        with open(f"{self.directory}/error.log", encoding="utf-8", errors="replace") as f:
            return f.read()[-500:]

    def stop(self):
        ns.processes.stop(self.process)
        shutil.rmtree(self.directory, ignore_errors=True)
