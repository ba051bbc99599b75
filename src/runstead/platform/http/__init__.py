"""The ASGI host: middleware, errors to envelopes, OpenAPI, the server."""
