// Bodies and headers in the form in which they leave: text or bytes or null, and pairs.
(tools) => ({
  bodyOf: (body) => {
    if (body === null || body === undefined) return null;
    if (typeof body === "string") return body;
    if (body instanceof ArrayBuffer) return new Uint8Array(body);
    if (body[Symbol.asyncIterator] || typeof body.next === "function") return body;
    if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength);
    return body[tools.reply] ? body[tools.reply]().body : tools.stringify(body);
  },
  pairsOf: (headers) => {
    const pairs = typeof headers?.[Symbol.iterator] === "function" ? [...headers] : Object.entries(headers ?? {});
    return pairs.flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((each) => [String(name), String(each)]));
  },
  typed: (type, body, status = 200) => ({ status, headers: [["content-type", type]], body }),
});
