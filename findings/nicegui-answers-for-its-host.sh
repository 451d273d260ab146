#!/usr/bin/env bash
# NiceGUI 3.18.0, FastAPI 0.165.0, Starlette 1.10.0. Seen on 2026-11-29.
#
# `ui.run_with(app)` is how a FastAPI application gets pages. It mounts NiceGUI at the root, behind the application's own
# routes, and so answers all that they do not: a path that the application does not know is no longer its 404 in JSON
# but a page of NiceGUI in HTML, with its own handlers of errors left aside, and a method that a known path does not allow
# is told as 404 where it was 405 with `Allow`. Who serves an API beside pages mounts NiceGUI below a path of its own.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install nicegui==3.18.0 fastapi==0.165.0 starlette==1.10.0 httpx==0.28.1

observe <<'PY'
import warnings
warnings.simplefilter("ignore")
from fastapi import FastAPI
from fastapi.testclient import TestClient
from nicegui import ui

def asked(name, app):
    with TestClient(app) as client:
        for method, path in (("GET", "/known"), ("GET", "/unknown"), ("DELETE", "/known")):
            answer = client.request(method, path)
            kind = answer.headers["content-type"].partition(";")[0]
            print(name, method, path, answer.status_code, kind, answer.headers.get("allow"))

def made():
    app = FastAPI()
    app.get("/known")(lambda: {"known": True})
    return app

asked("alone", made())
host = made()
ui.page("/page")(lambda: None)
ui.run_with(host)
asked("with pages", host)
PY
compare <<'SEEN'
alone GET /known 200 application/json None
alone GET /unknown 404 application/json None
alone DELETE /known 405 application/json GET
with pages GET /known 200 application/json None
with pages GET /unknown 404 text/html None
with pages DELETE /known 404 text/html None
SEEN
