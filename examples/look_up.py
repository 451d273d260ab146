"""Print what is known of a user, and the user's list: `python examples/look_up.py ann`.

The addresses come from the line with `export` that `reelstream up` prints: paste it into this terminal first.
"""

import json
import os
import sys

from redis import Redis

user_id = sys.argv[1] if len(sys.argv) > 1 else "ann"
escaped = user_id.replace("%", "%25").replace("{", "%7B").replace("}", "%7D")  # as docs/reference/redis.md says
prefix = os.environ.get("REELSTREAM_PREFIX", "")
key = f"{prefix}user:{{{escaped}}}"
with Redis.from_url(os.environ["REELSTREAM_REDIS"], decode_responses=True, socket_timeout=5) as redis:
    user = redis.hgetall(key)
    published = redis.get(f"{key}:recs")
    if published is None:
        items = redis.zrange(f"{prefix}hot:all", 0, 9, desc=True)
        print(f"{user_id} has no list yet; trending is:")
    else:
        items = [item["item_id"] for item in json.loads(published)["items"]]
        watches, ratings = user.get("watches", 0), user.get("ratings", 0)  # none of an account of guests alone
        print(f"{user_id}: {watches} watches, {ratings} ratings, mode {user['mode']}")
    described = redis.hmget(f"{prefix}catalog:items", items) if items else []
    for rank, (item, known) in enumerate(zip(items, described, strict=True), start=1):
        print(f"{rank:3}  {item:8}  {json.loads(known)['title'] if known else item}")
