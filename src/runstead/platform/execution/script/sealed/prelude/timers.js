// Timers: the server tells when it is time, and others have the worker meanwhile.
(tools) => {
  const live = new Set();
  let last = 0;
  return {
    setTimeout: (callback, milliseconds = 0, ...values) => {
      const id = ++last;
      live.add(id);
      const fire = () => { if (live.delete(id)) callback(...values); };
      tools.later("timer", Number(milliseconds) || 0).then(fire, fire);
      return id;
    },
    clearTimeout: (id) => void live.delete(id),
  };
};
