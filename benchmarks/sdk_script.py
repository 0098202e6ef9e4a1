"""The peer to beat: what one writes by hand on the vendor's own SDK. It validates nothing and remembers nothing.

python sdk_script.py FOLDER HOST:PORT
"""

import json
import sys
from datetime import datetime
from pathlib import Path

import yaml
from volcengine.live.v20230101.live_service import LiveService

service = LiveService(sys.argv[2])
service.set_scheme("http")
service.set_ak("AKLTEMULATOR")
service.set_sk("emulator-secret")

declared = {}
for file in sorted(Path(sys.argv[1]).glob("*.yaml")):
    with file.open() as text:
        for document in yaml.load_all(text, Loader=yaml.CSafeLoader):
            declared[document["spec"]["title"]] = document

live, page, total = {}, 1, 1
while (page - 1) * 500 < total:
    answer = service.list_pull_to_push_task_v2({"Page": page, "Size": 500})
    found = (answer if isinstance(answer, dict) else json.loads(answer))["Result"]
    live.update((task["Title"], task) for task in found["List"])
    page, total = page + 1, found["Pagination"]["TotalCount"]

changes = []
for title, document in declared.items():
    spec, schedule, task = document["spec"], document["schedule"], live.get(title)
    if task is None:
        changes.append(("create", title))
        continue
    want = (
        spec["group"], 0, spec["source"]["url"], spec["destination"]["url"], spec["callbackUrl"],
        schedule["start"], schedule["end"], spec["enabled"],
    )  # fmt: skip
    have = (
        task["GroupName"], task["Type"], task["SrcAddr"], task["DstAddr"], task["CallbackURL"],
        datetime.fromisoformat(task["StartTime"]), datetime.fromisoformat(task["EndTime"]), task["Status"] != "停用",
    )  # fmt: skip
    if want != have:
        changes.append(("update", title))
changes += [("delete", title) for title in live if title not in declared]
print(f"{len(declared)} declared, {len(live)} live, {len(changes)} changes")
