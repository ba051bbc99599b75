"""What runs inside the seal: nothing of the server is imported here, and the server never runs any of it in its own process.

It imports as little as it can, for the memory of an idle worker is mostly what it has imported.
"""
