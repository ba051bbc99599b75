"""The layers that every request passes, each plain ASGI in a file of its own; ``platform.http.app`` stacks them."""
