"""What runs inside the worker process. Nothing here may import the server: the worker sees this folder and the engine alone."""
