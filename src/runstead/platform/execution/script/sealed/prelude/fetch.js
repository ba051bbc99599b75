// fetch, as the Fetch standard has it, as far as a server needs it; the server sends, with its own checks and limits.
(tools) => {
  const { bodyOf, pairsOf } = tools.load("body");
  const { Response } = tools.load("web");
  const bytesOf = (body) => (typeof body === "string" ? new TextEncoder().encode(body) : body);
  const { hexOf, unhex } = tools.load("hex");
  const outgoing = (url, options) => {
    const body = bodyOf(options.body);
    const headers = pairsOf(options.headers);
    if (typeof body === "string" && !headers.some(([name]) => name.toLowerCase() === "content-type")) {
      headers.push(["content-type", typeof options.body === "string" ? "text/plain; charset=utf-8" : "application/json"]);
    }
    const retry = typeof options.retry === "object" ? options.retry?.attempts : options.retry;
    return {
      url: String(url?.href ?? url?.url ?? url),
      method: String(options.method ?? "GET"),
      headers,
      body: body === null ? null : typeof body === "string" ? { text: body } : { hex: hexOf(bytesOf(body)) },
      secrets: Object.entries(options.secrets ?? {}).map(([name, id]) => [String(name), String(id)]),
      timeout: options.timeout === undefined ? null : Number(options.timeout),
      retry: retry === undefined ? 0 : Number(retry),
      redirect: String(options.redirect ?? "follow"),
    };
  };
  const optionsOf = (options) => (typeof options === "string" ? tools.parse(options) : (options ?? {}));
  const responseOf = (answer) => {
    const body = answer.hex === undefined ? answer.text : unhex(answer.hex);
    const response = new Response(null, { status: answer.status, headers: answer.headers });
    response.body = body;
    Object.defineProperties(response, {
      url: { value: answer.url, enumerable: true },
      redirected: { value: answer.redirected, enumerable: true },
      type: { value: "basic", enumerable: true },
    });
    return response;
  };
  const fetchSync = (url, options) => {
    try {
      const answer = tools.ask("fetch", outgoing(url, optionsOf(options)));
      const { status } = answer;
      const body = answer.hex === undefined ? answer.text : new TextDecoder().decode(unhex(answer.hex));
      return tools.stringify({ status, ok: status >= 200 && status < 300, headers: Object.fromEntries(answer.headers), body });
    } catch (error) {
      return tools.stringify({ error: error.message });
    }
  };
  return {
    fetch: async (url, given) => {
      const options = optionsOf(given);
      const { signal } = options;
      signal?.throwIfAborted();
      const answer = tools.later("fetch", outgoing(url, options)).then(responseOf);
      if (!signal) return answer;
      return Promise.race([answer, new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)))]);
    },
    engine: Object.freeze({ fetchSync }),
  };
};
