// Headers as the Fetch standard has them.
(tools) => {
  const { pairsOf } = tools.load("body");
  const lower = (name) => String(name).toLowerCase();
  class Headers {
    #entries = [];
    constructor(init = undefined) {
      for (const [name, value] of pairsOf(init)) this.append(name, value);
    }
    append(name, value) { this.#entries.push([lower(name), String(value).trim()]); }
    delete(name) { this.#entries = this.#entries.filter(([each]) => each !== lower(name)); }
    set(name, value) { this.delete(name); this.append(name, value); }
    has(name) { return this.#entries.some(([each]) => each === lower(name)); }
    get(name) {
      const values = this.#entries.filter(([each]) => each === lower(name)).map(([, value]) => value);
      return values.length ? values.join(", ") : null;
    }
    getSetCookie() { return this.#entries.filter(([name]) => name === "set-cookie").map(([, value]) => value); }
    // Sorted, each name once; only cookies cannot be joined.
    *entries() {
      for (const name of [...new Set(this.#entries.map(([each]) => each))].sort()) {
        if (name === "set-cookie") for (const value of this.getSetCookie()) yield [name, value];
        else yield [name, this.get(name)];
      }
    }
    *keys() { for (const [name] of this.entries()) yield name; }
    *values() { for (const [, value] of this.entries()) yield value; }
    forEach(callback) { for (const [name, value] of this.entries()) callback(value, name, this); }
    [Symbol.iterator]() { return this.entries(); }
  }
  return { Headers };
};
