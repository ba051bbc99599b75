// AbortController as the DOM standard has it, as far as fetch and scripts need it.
(tools) => {
  const { setTimeout } = tools.load("timers");
  const abortError = (reason) => (reason === undefined ? Object.assign(new Error("the operation was aborted"), { name: "AbortError" }) : reason);
  class AbortSignal {
    #listeners = new Set();
    aborted = false;
    reason = undefined;
    onabort = null;
    addEventListener(type, listener) { if (type === "abort") this.#listeners.add(listener); }
    removeEventListener(type, listener) { this.#listeners.delete(listener); }
    throwIfAborted() { if (this.aborted) throw this.reason; }
    static fire(signal, reason) {
      if (signal.aborted) return;
      signal.aborted = true;
      signal.reason = abortError(reason);
      signal.onabort?.({ type: "abort", target: signal });
      for (const listener of signal.#listeners) listener({ type: "abort", target: signal });
    }
    static timeout(milliseconds) {
      const signal = new AbortSignal();
      setTimeout(() => AbortSignal.fire(signal, Object.assign(new Error("the time is over"), { name: "TimeoutError" })), milliseconds);
      return signal;
    }
    static abort(reason) { const signal = new AbortSignal(); AbortSignal.fire(signal, reason); return signal; }
  }
  class AbortController {
    signal = new AbortSignal();
    abort(reason) { AbortSignal.fire(this.signal, reason); }
  }
  return { AbortController, AbortSignal };
};
