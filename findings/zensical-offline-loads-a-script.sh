#!/usr/bin/env bash
# Zensical 0.0.73. Seen on 2026-11-29.
#
# The plugin `offline` is meant for sites that are opened without a network. With it every page of the built site names a
# script of unpkg.com; without it no page loads anything of other servers. So the site that is to work offline is the one
# that asks a server of others for a script each time that it is opened.
set -euo pipefail
. "$(dirname "$0")/lib/finding.sh"
install zensical==0.0.73

observe <<'PY'
import pathlib, re, subprocess, sys

zensical = pathlib.Path(sys.executable).with_name("zensical")
LOADED = re.compile(r'<(?:script|link|img)[^>]*?(?:src|href)="?(https?://[^/"> ]+)')

def built(name, plugins):
    folder = pathlib.Path(sys.argv[0]).parent / name
    (folder / "docs").mkdir(parents=True)
    for page in ("index", "other"):
        (folder / "docs" / f"{page}.md").write_text(f"# {page}\n\nOne sentence.\n")
    (folder / "zensical.toml").write_text(f'[project]\nsite_name = "S"\n{plugins}\n[project.theme]\nfont = false\n')
    subprocess.run([zensical, "build"], cwd=folder, check=True, capture_output=True)
    pages = sorted((folder / "site").rglob("*.html"))
    for page in pages:
        if page.stem != "404":
            print(name, page.relative_to(folder / "site"), sorted(set(LOADED.findall(page.read_text()))))

built("plain", "")
built("offline", "[project.plugins.offline]")
PY
compare <<'SEEN'
plain index.html []
plain other/index.html []
offline index.html ['https://unpkg.com']
offline other.html ['https://unpkg.com']
SEEN
