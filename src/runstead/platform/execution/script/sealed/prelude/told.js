// What is told of a call that is no request: a stream's customizer names what its client may hear, or answers in its stead; tests and
// evaluations tell their value; the clock and other apps hear nothing.
(tools) => (kind, value, replyOf) => {
  if (kind === "stream") {
    const isReply = value?.[tools.reply] || typeof value?.status === "number";
    return isReply ? { reply: replyOf(value) } : { metadata: tools.parse(tools.stringify(value ?? {})) };
  }
  if (kind === "test") return value;
  if (kind === "eval") return { shown: tools.load("show").show(value) };
  return null;
};
