"""A manifest of every kind, and what tests do with them: an edit for each, the secrets they need, what must be allowed by name."""

RELAY = """\
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata: {name: morning-news}
schedule: {start: 2026-11-22T08:00:00+08:00, duration: 2h}
spec:
  source: {url: "http://pull.example.com/live/a.flv"}
  destination: {url: "rtmp://push.example.com/live/a?key=abc"}
  callbackUrl: https://ops.example.com/relay
"""
PLAYLIST = """\
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata: {name: night-loop}
schedule: {start: 2026-11-22T22:00:00+08:00, duration: 6h}
spec:
  title: 夜间循环
  source:
    files:
      - {url: "https://vod.example.com/1.mp4"}
      - {url: "https://vod.example.com/2.mp4", startOffset: 30s, endOffset: 90s}
    loop: 3
    resume: elapsed
    preload: false
  destination: {domain: push.example.com, app: live, stream: night}
"""
RECORDING = """\
apiVersion: broadcast.reconciler/v1
kind: RecordingSession
metadata: {name: town-hall}
lifecycle: {onAirChange: apply}
spec:
  appId: 661e0000000000000000543c
  roomId: Room1
  streams: [{user: host, type: camera, index: 0}, {user: host, type: screen, index: 1}]
  layout:
    mode: custom
    canvas: {width: 1280, height: 720}
    regions:
      - {streamIndex: 1, x: 0, y: 0, width: 1280, height: 720, renderMode: fit}
      - {streamIndex: 0, x: 960, y: 540, width: 320, height: 180, zOrder: 1, alpha: 0.9}
  control: {maxDuration: 4h}
  storage: {tos: {accountId: "2100000990", region: cn-beijing, bucket: b}}
"""
SEGMENT = """\
apiVersion: broadcast.reconciler/v1
kind: SegmentSession
metadata: {name: moderation}
lifecycle: {onAirChange: apply}
spec:
  appId: 661e0000000000000000543c
  roomId: Room1
  streams: [{user: host, type: camera}]
  sliceDuration: 30s
  storage:
    custom: {vendor: amazonS3, region: us-east-1, bucket: b, accessKey: {fromEnv: S3_KEY}, secretKey: {fromEnv: S3_SECRET}}
"""
CLIP = """\
apiVersion: broadcast.reconciler/v1
kind: Clip
metadata: {name: goal-78}
spec:
  playbackId: eaw4nk06ts2d0mzb
  start: 2026-11-20T21:14:05+08:00
  end: 2026-11-20T21:14:35+08:00
  name: Goal 78
  creatorId: sports-desk
"""
S3 = {"S3_KEY": "key-1", "S3_SECRET": "secret-1"}
KINDS = {"relay": RELAY, "playlist": PLAYLIST, "recording": RECORDING, "segment": SEGMENT, "clip": CLIP}
ON_AIR = ("RecordingSession/town-hall", "SegmentSession/moderation")
EDITS = {
    "relay": ("live/a.flv", "live/b.flv"),
    "playlist": ("loop: 3", "loop: forever"),
    "recording": ("alpha: 0.9", "alpha: 0.5"),
    "segment": ("sliceDuration: 30s", "sliceDuration: 20s"),
    "clip": ("name: Goal 78", "name: Goal seventy-eight"),
}

CUP = """\
apiVersion: broadcast.reconciler/v1
kind: RelayTask
metadata: {name: cup}
schedule: {start: "2026-11-21T13:00:00Z", end: "2026-11-21T14:00:00Z"}
spec:
  source: {url: "http://pull.example.com/live/cup.flv"}
  destination: {url: "rtmp://push.example.com/live/cup"}
"""
