// Response as the Fetch standard has it, as far as handlers need it; its headers and the reading of its body are compiled when used.
(tools) => {
  const { bodyOf, pairsOf } = tools.load("body");
  const isType = ([name]) => name.toLowerCase() === "content-type";
  class Response {
    #pairs;
    #headers;
    constructor(body = null, init = null) {
      this.body = body;
      this.status = init?.status ?? 200;
      this.statusText = init?.statusText ?? "";
      this.#pairs = pairsOf(init?.headers);
      const type = typeof body === "string" ? "text/plain; charset=utf-8" : body?.[tools.reply]?.().headers[0][1];
      if (type && !this.#pairs.some(isType)) this.#pairs.push(["content-type", type]);
    }
    get headers() { return (this.#headers ??= new (tools.load("headers").Headers)(this.#pairs)); }
    get ok() { return this.status >= 200 && this.status < 300; }
    clone() { return new Response(this.body, this); }
    [tools.reply]() { return { status: this.status, headers: [...(this.#headers ?? this.#pairs)], body: bodyOf(this.body) }; }
    static json(value, init = null) {
      const response = new Response(null, init);
      if (!response.#pairs.some(isType)) response.#pairs.push(["content-type", "application/json"]);
      response.body = tools.stringify(value);
      return response;
    }
    static redirect(location, status = 302) { return new Response(null, { status, headers: { location } }); }
  }
  for (const form of ["text", "json", "bytes", "arrayBuffer"]) {
    Object.defineProperty(Response.prototype, form, { value() { return tools.load("read")(this, form); }, writable: true, configurable: true });
  }
  return { Response };
};
