// Request as the Fetch standard has it, for scripts that make one.
(tools) => {
  const { Headers } = tools.load("headers");
  const read = tools.load("read");
  class Request {
    constructor(input, init = {}) {
      const from = input instanceof Request ? input : {};
      this.url = String(from.url ?? input);
      this.method = String(init.method ?? from.method ?? "GET").toUpperCase();
      this.headers = new Headers(init.headers ?? from.headers);
      this.body = init.body ?? from.body ?? null;
    }
    text() { return read(this, "text"); }
    json() { return read(this, "json"); }
    bytes() { return read(this, "bytes"); }
    arrayBuffer() { return read(this, "arrayBuffer"); }
    clone() { return new Request(this); }
  }
  return { Request };
};
