"""Follow the tasks of a cluster-state-service: python3 follow.py http://localhost:3000 (Python 3.8, nothing to install)."""
import json, sys, time, urllib.error, urllib.request

base, held, version = sys.argv[1], {}, None  # held: ARN to (version, task)
while True:
    try:
        if version is None:  # at start, and if the stream cannot be resumed
            answer = json.load(urllib.request.urlopen(base + "/v1/tasks", timeout=30))
            held = {t["entity"]["taskARN"]: (int(t["metadata"]["entityVersion"]), t["entity"]) for t in answer["items"]}
            version = int(answer["metadata"]["entityVersion"])
            print(len(held), "tasks", flush=True)
        url = f"{base}/v1/stream/tasks?entityVersion={version}&deleted=true&heartbeat=5"
        for line in urllib.request.urlopen(url, timeout=15):  # reconnect after three missed heartbeats
            if not line.endswith(b"\n"):
                break  # incomplete: the next stream repeats it
            change = json.loads(line)
            if "error" in change:
                raise ConnectionError(change["error"])
            entity, at = change.get("entity"), int(change["metadata"]["entityVersion"])
            version = max(version, at)
            if entity and at > held.get(entity["taskARN"], (0,))[0]:  # skip repeated lines
                deleted = change["metadata"].get("deleted", False)
                held[entity["taskARN"]] = (at, None if deleted else entity)
                print(entity["taskARN"], "deleted" if deleted else entity["lastStatus"], flush=True)
    except urllib.error.HTTPError as refused:
        if refused.code == 400:  # the version is out of range: list again
            version = None
        print(refused, file=sys.stderr)
    except (OSError, ValueError) as broken:
        print(broken, file=sys.stderr)
    time.sleep(1)
