"""Drives PyPI `livepeer`: reads settings and then calls from stdin, one JSON a line; runs in an environment of its own."""

import json
import sys

import httpx
from livepeer import Livepeer
from livepeer.models import errors


def main() -> None:
    settings = json.loads(sys.stdin.readline())
    client = httpx.Client(trust_env=False, params=settings.get("params"))
    sdk = Livepeer(api_key=settings["key"], server_url=settings["url"], timeout_ms=10_000, client=client)
    for line in sys.stdin:
        print(json.dumps(answer(sdk, json.loads(line))), flush=True)


def answer(sdk: Livepeer, ask: dict) -> dict:
    target = sdk
    for part in ask["call"].split("."):
        target = getattr(target, part)
    try:
        result = target(*ask["args"], **ask["named"])
    except errors.SDKError as error:
        return {"raised": "SDKError", "status": error.status_code, "body": json.loads(error.body)}
    except Exception as error:  # what the client's own models refuse
        return {"raised": type(error).__name__, "text": str(error)}
    body = result.model_dump(mode="json", by_alias=True, exclude={"http_meta"})
    return {"status": result.http_meta.response.status_code, "body": body}


main()
