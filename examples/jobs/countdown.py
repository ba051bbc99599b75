"""Counts down, a line at a time: something to watch. Usage: countdown.py [COUNT] [SECONDS]"""

import json
import sys
import time

count = int(sys.argv[1]) if len(sys.argv) > 1 else 10
seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0

print(f"counting down from {count}", file=sys.stderr, flush=True)
for number in range(count, 0, -1):
    print(number, flush=True)
    time.sleep(seconds)
print(json.dumps({"counted": count}), flush=True)
