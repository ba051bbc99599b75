// Calls to the server by promises: the script goes on, and the server brings the answers with settle().
(tools) => {
  const waiting = new Map();
  let calls = 0;
  return {
    later: (name, ...values) => new Promise((resolve, reject) => {
      tools.send(++calls, name, tools.stringify(values));
      waiting.set(calls, [resolve, reject]);
    }),
    waits: () => waiting.size > 0,
    settle: (results) => {
      for (const [number, ok, text] of results) {
        const [resolve, reject] = waiting.get(number);
        waiting.delete(number);
        if (ok) resolve(tools.parse(text));
        else reject(new Error(text));
      }
    },
  };
};
