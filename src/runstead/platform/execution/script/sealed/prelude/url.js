// URL and URLSearchParams, for the addresses that web apps meet: scheme://host/path, and what is relative to one.
(tools) => {
  const { pairs } = tools.load("form");
  const { pairsOf, typed } = tools.load("body");
  const encode = (text) => encodeURIComponent(text).replaceAll("%20", "+").replace(/[!'()~]/g, (found) => `%${found.charCodeAt(0).toString(16).toUpperCase()}`);

  class URLSearchParams {
    #pairs;
    #changed;
    constructor(init = "", changed = () => {}) {
      this.#pairs = typeof init === "string" ? pairs(init.replace(/^\?/, "")) : pairsOf(init);
      this.#changed = changed;
    }
    get size() { return this.#pairs.length; }
    append(name, value) { this.#pairs.push([String(name), String(value)]); this.#changed(); }
    delete(name) { this.#pairs = this.#pairs.filter(([each]) => each !== String(name)); this.#changed(); }
    get(name) { return this.#pairs.find(([each]) => each === String(name))?.[1] ?? null; }
    getAll(name) { return this.#pairs.filter(([each]) => each === String(name)).map(([, value]) => value); }
    has(name) { return this.#pairs.some(([each]) => each === String(name)); }
    set(name, value) {
      const at = this.#pairs.findIndex(([each]) => each === String(name));
      if (at < 0) return this.append(name, value);
      this.#pairs = this.#pairs.filter(([each], index) => each !== String(name) || index === at);
      this.#pairs[at] = [String(name), String(value)];
      this.#changed();
    }
    sort() { this.#pairs.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)); this.#changed(); }
    forEach(callback) { for (const [name, value] of this.#pairs) callback(value, name, this); }
    *entries() { yield* this.#pairs.map((pair) => [...pair]); }
    *keys() { for (const [name] of this.#pairs) yield name; }
    *values() { for (const [, value] of this.#pairs) yield value; }
    [Symbol.iterator]() { return this.entries(); }
    toString() { return this.#pairs.map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&"); }
    [tools.reply]() { return typed("application/x-www-form-urlencoded;charset=UTF-8", this.toString()); }
  }

  const PORTS = { "http:": "80", "https:": "443", "ws:": "80", "wss:": "443" };
  const ABSOLUTE = /^([a-z][a-z0-9+.-]*:)\/\/(?:([^\/?#@]*)@)?(\[[0-9a-f:.]+\]|[^\/?#:@\s]+)(?::(\d{1,5}))?([^?#]*)(\?[^#]*)?(#.*)?$/i;
  const straight = (path) => {
    const kept = [];
    const parts = path.split("/").slice(1);
    parts.forEach((part, index) => {
      const isLast = index === parts.length - 1;
      if (part === "..") kept.pop();
      if (part !== "." && part !== "..") kept.push(part);
      else if (isLast) kept.push("");
    });
    return `/${kept.join("/")}`;
  };
  // encodeURI would escape the percent signs of what is escaped already.
  const escaped = (text) => encodeURI(text).replaceAll("%25", "%");

  class URL {
    constructor(input, base = undefined) {
      const text = String(input).trim();
      let found = ABSOLUTE.exec(text);
      if (!found && base !== undefined) found = ABSOLUTE.exec(URL.#resolved(text, new URL(base)));
      if (!found) throw new TypeError(`${text.slice(0, 200)} is not a URL`);
      const [, protocol, userinfo = "", host, port = "", path, search = "", hash = ""] = found;
      this.protocol = protocol.toLowerCase();
      [this.username, this.password = ""] = userinfo.split(":");
      this.hostname = host.toLowerCase();
      this.port = port === PORTS[this.protocol] ? "" : port;
      this.pathname = straight(escaped(path || "/"));
      this.search = search === "?" ? "" : escaped(search);
      this.hash = hash === "#" ? "" : escaped(hash);
      this.searchParams = new URLSearchParams(this.search, () => {
        const query = this.searchParams.toString();
        this.search = query ? `?${query}` : "";
      });
    }
    static #resolved(text, base) {
      if (text.startsWith("//")) return `${base.protocol}${text}`;
      if (text.startsWith("/")) return `${base.origin}${text}`;
      if (text.startsWith("?")) return `${base.origin}${base.pathname}${text}`;
      if (text.startsWith("#") || text === "") return `${base.origin}${base.pathname}${base.search}${text}`;
      return `${base.origin}${base.pathname.replace(/[^\/]*$/, "")}${text}`;
    }
    static canParse(input, base) {
      try {
        return Boolean(new URL(input, base));
      } catch {
        return false;
      }
    }
    get host() { return this.port ? `${this.hostname}:${this.port}` : this.hostname; }
    get origin() { return `${this.protocol}//${this.host}`; }
    get href() {
      const user = this.username ? `${this.username}${this.password ? `:${this.password}` : ""}@` : "";
      return `${this.protocol}//${user}${this.host}${this.pathname}${this.search}${this.hash}`;
    }
    toString() { return this.href; }
    toJSON() { return this.href; }
  }
  return { URL, URLSearchParams };
};
