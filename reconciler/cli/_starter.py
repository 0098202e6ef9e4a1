"""The files of `reconciler init`: a project that validates as it stands, and explains itself."""

from __future__ import annotations

import json
import re
from datetime import date

from reconciler import schema
from reconciler.kinds import Registry


def starter(name: str, day: date) -> dict[str, str]:
    """Path -> text. `name` becomes the workspace; the first manifest is on air on `day`."""
    workspace = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50] or "my-channel"
    return {
        "reconciler.yaml": _PROJECT.replace("WORKSPACE", workspace),
        "manifests/news.yaml": _MANIFEST.replace("DAY", day.isoformat()),
        "schemas/manifest.schema.json": json.dumps(schema.of_manifests(Registry()), indent=2, ensure_ascii=True) + "\n",
        "schemas/project.schema.json": json.dumps(schema.of_project(), indent=2, ensure_ascii=True) + "\n",
        ".vscode/settings.json": json.dumps(_SETTINGS, indent=2) + "\n",
        ".vscode/extensions.json": json.dumps({"recommendations": ["redhat.vscode-yaml"]}, indent=2) + "\n",
        ".github/workflows/reconciler.yaml": _WORKFLOW,
        ".gitignore": "# the ledger; never commit it\n.reconciler/\nplan.json\n",
    }


_PROJECT = """\
# yaml-language-server: $schema=schemas/project.schema.json

# The mark of ownership. What carries another mark, or none, is never deleted.
workspace: WORKSPACE

# Where manifests lie. Without this line: every *.yaml below this folder.
manifests: [manifests/]

# Times are shown in this zone.
zone: Asia/Shanghai

# What this workspace owns is remembered here. For a team: postgresql://user@host/database
# state: .reconciler/state.db

# Keys come from the environment or the vendors' own files, never from here:
# VOLCENGINE_ACCESS_KEY and VOLCENGINE_SECRET_KEY, LIVEPEER_API_KEY. `reconciler doctor` tells which are used.
accounts:
  default:
    volcengine: {region: cn-north-1}
    livepeer: {}

# Above these limits an apply stops and asks for a person.
guards: {maxDelete: 30%, maxDeleteFloor: 10}

# Used as ${var:pushHost} in manifests; an environment may change them: reconciler plan -e staging
variables: {pushHost: push.example.com}
environments:
  staging: {workspace: WORKSPACE-staging, variables: {pushHost: push-staging.example.com}}
"""

_MANIFEST = """\
# yaml-language-server: $schema=../schemas/manifest.schema.json
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata:
  name: morning-news # unique per kind; the address is RelayTask/morning-news
  labels: {team: news}
schedule:
  zone: Asia/Shanghai
  start: DAYT08:00
  duration: 2h # or `end:`; a schedule has one window, so a daily show is a manifest a day
lifecycle:
  onAirChange: defer # what changes while it is on air waits until its window ends
spec:
  source:
    url: http://pull.example.com/live/news.flv # or `files:`, a play list
  destination:
    url: rtmp://${var:pushHost}/live/news # a stream key goes in as ?key=${env:PUSH_KEY}
"""

_SETTINGS = {
    "yaml.schemas": {
        "schemas/manifest.schema.json": "manifests/**/*.yaml",
        "schemas/project.schema.json": "reconciler.yaml",
    }
}

_WORKFLOW = """\
# Plan on every pull request, apply on merge. Add the secrets named below to the repository.
name: reconciler
on:
  pull_request:
  push: {branches: [main]}
permissions: {contents: read}
concurrency: reconciler
env:
  VOLCENGINE_ACCESS_KEY: ${{ secrets.VOLCENGINE_ACCESS_KEY }}
  VOLCENGINE_SECRET_KEY: ${{ secrets.VOLCENGINE_SECRET_KEY }}
  LIVEPEER_API_KEY: ${{ secrets.LIVEPEER_API_KEY }}
jobs:
  plan:
    if: github.event_name == 'pull_request'
    runs-on: ubuntu-latest
    timeout-minutes: 10
    steps:
      - uses: actions/checkout@v4
        with: {persist-credentials: false}
      - run: pip install broadcast-reconciler
      - run: reconciler validate --report github
      - run: reconciler plan --report github --report github-summary
  apply:
    if: github.event_name == 'push'
    runs-on: ubuntu-latest
    timeout-minutes: 30
    environment: production # ask for an approval in the repository's settings
    steps:
      - uses: actions/checkout@v4
        with: {persist-credentials: false}
      - run: pip install broadcast-reconciler
      # the ledger must outlive this machine: name a database in reconciler.yaml (state: postgresql://...)
      - run: reconciler apply --auto-approve --report github-summary
"""
