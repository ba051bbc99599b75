// Reading the body of a Request or Response, which is possible once.
(tools) => {
  const { bodyOf } = tools.load("body");
  const taken = new WeakSet();
  const forms = {
    text: (body) => (typeof body === "string" ? body : new TextDecoder().decode(body)),
    bytes: (body) => (typeof body === "string" ? new TextEncoder().encode(body) : body),
    json: (body) => tools.parse(forms.text(body)),
    arrayBuffer: (body) => forms.bytes(body).slice().buffer,
  };
  return async (message, form) => {
    if (taken.has(message)) throw new TypeError("the body has been read already");
    taken.add(message);
    return forms[form](bodyOf(message.body) ?? "");
  };
};
