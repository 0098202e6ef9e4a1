#!/usr/bin/env bash
# The whole loop on the emulator: validate, plan, apply, an empty plan, an edit, its diff, apply, destroy. Takes about a minute.
# Everything happens in a temporary folder and on loopback; no account is needed.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'kill "${emulator:-}" 2>/dev/null || true; rm -rf "$work"' EXIT

say() { printf '\n\033[1m# %s\033[0m\n' "$*"; }
run() { # shows a command as one would type it
    printf '\033[1m$'
    for word; do case $word in *[!A-Za-z0-9_./:=@,+-]*) printf " '%s'" "$word" ;; *) printf ' %s' "$word" ;; esac; done
    printf '\033[0m\n'
    "$@"
}

say "the vendors' APIs, on a free loopback port"
reconciler emulator --port 0 >"$work/emulator.url" 2>"$work/emulator.log" &
emulator=$!
for _ in $(seq 100); do [ -s "$work/emulator.url" ] && break; sleep 0.1; done
url=$(head -n 1 "$work/emulator.url")
echo "$url"

export RECONCILER_LIVE_ENDPOINT=$url RECONCILER_RTC_ENDPOINT=$url RECONCILER_LIVEPEER_ENDPOINT=$url/api
export VOLCENGINE_ACCESS_KEY=AKLTEMULATOR VOLCENGINE_SECRET_KEY=emulator-secret LIVEPEER_API_KEY=lp-emulator-key

say "a project with two relay tasks, a recording, a segment session and a clip; the broadcast day is tomorrow"
cp -r "$here/quickstart" "$work/project"
cd "$work/project"
yesterday=$(date -u -d yesterday +%F)
sed -i "s/^  day: .*/  day: \"$(date -u -d tomorrow +%F)\"/" reconciler.yaml
sed -i "s/2026-11-20T/${yesterday}T/" manifests/clip.yaml
run reconciler validate
run reconciler plan
say "apply creates everything over real HTTP, and waits for the clip to be cut"
run reconciler apply --auto-approve
say "nothing is left to do"
run reconciler plan --detailed-exitcode

say "somebody edits two manifests: the news run longer, the slices get shorter"
run sed -i 's/  duration: 2h/  duration: 2h30m/' manifests/relay.yaml
run sed -i 's/  sliceDuration: 30s/  sliceDuration: 20s/' manifests/room.yaml
run reconciler plan
run reconciler apply --auto-approve
run reconciler get

say "and all of it goes away again; what is on air must be named"
run reconciler destroy --auto-approve --allow-on-air RecordingSession/town-hall --allow-on-air SegmentSession/moderation
run reconciler state list
say "done"
