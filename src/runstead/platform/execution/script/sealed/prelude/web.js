// Response as the Fetch standard has it, as far as handlers need it; its headers and the reading of its body are compiled when used.
(tools) => {
  const { bodyOf, pairsOf } = tools.load("body");
  const isType = ([name]) => name.toLowerCase() === "content-type";
  const read = (response, form) => tools.load("read")(response, form);
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
    text() { return read(this, "text"); }
    json() { return read(this, "json"); }
    bytes() { return read(this, "bytes"); }
    arrayBuffer() { return read(this, "arrayBuffer"); }
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
  const typed = (type, text, status) => new Response(String(text), { status, headers: { "content-type": type } });
  return {
    Response,
    ResponseBuilder: {
      json: (data, status = 200) => Response.json(data, { status }),
      text: (text, status = 200) => typed("text/plain; charset=utf-8", text, status),
      html: (text, status = 200) => typed("text/html; charset=utf-8", text, status),
      error: (status, message) => Response.json({ error: String(message) }, { status }),
      noContent: () => new Response(null, { status: 204 }),
      redirect: (location) => Response.redirect(location),
    },
  };
};
