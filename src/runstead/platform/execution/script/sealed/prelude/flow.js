// Bodies that are made while they are sent. The next piece is asked for when the client has taken the last one.
(tools) => {
  const { hexOf } = tools.load("hex");
  const { bodyOf } = tools.load("body");
  return async (reply) => {
    const { status, headers, body } = reply;
    if (ArrayBuffer.isView(body) || !(Symbol.asyncIterator in body || Symbol.iterator in body)) return reply;
    await tools.later("response.start", status, headers);
    for await (const piece of body) {
      const data = bodyOf(piece);
      if (data === null) continue;
      await (typeof data === "string" ? tools.later("response.piece", data, null) : tools.later("response.piece", null, hexOf(data)));
    }
    return { streamed: true };
  };
};
