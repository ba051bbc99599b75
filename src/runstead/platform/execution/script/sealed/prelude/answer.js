// What a handler may return, beside a Response, brought to {status, headers: [[name, value]], body: text | bytes | null} or bodyBase64.
(tools) => {
  const { bodyOf, pairsOf, typed } = tools.load("body");
  const FIELDS = ["status", "body", "bodyBase64", "stream", "headers", "contentType"];
  const isType = ([name]) => name.toLowerCase() === "content-type";
  return (value) => {
    if (value === null || value === undefined) return { status: 204, headers: [], body: null };
    if (typeof value === "string") return typed("text/plain; charset=utf-8", value);
    if (typeof value !== "object") throw new TypeError(`a handler returned a ${typeof value}, not a response`);
    if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return typed("application/octet-stream", bodyOf(value));
    // Data, if it does not look like a response: those have a status, or nothing but the fields of one.
    const names = Object.keys(value);
    if (!("status" in value) && !(names.length && names.every((name) => FIELDS.includes(name)))) {
      return typed("application/json", tools.stringify(value));
    }
    const body = value.stream === undefined ? bodyOf(value.body) : value.stream;
    const headers = pairsOf(value.headers);
    if (value.contentType) headers.splice(0, headers.length, ...headers.filter((pair) => !isType(pair)), ["content-type", String(value.contentType)]);
    else if (typeof value.body !== "string" && !headers.some(isType)) {
      if (value.body?.[tools.reply]) headers.push(...value.body[tools.reply]().headers);
      else if (typeof body === "string") headers.push(["content-type", "application/json"]);
    }
    const reply = { status: value.status ?? 200, headers, body };
    if (value.bodyBase64 !== undefined) reply.bodyBase64 = String(value.bodyBase64);
    return reply;
  };
};
