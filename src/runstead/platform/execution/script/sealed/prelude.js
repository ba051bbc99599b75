// What a script finds besides the language. Runs once per context, before the script; keep it short, it is parsed each time.
(() => {
  "use strict";
  const host = globalThis.__host, emit = globalThis.__console;
  delete globalThis.__host;
  delete globalThis.__console;
  const { stringify, parse } = JSON;
  const registrations = [];
  let phase = "load";

  // No code out of text: not by eval, not by any of the function constructors.
  delete globalThis.eval;
  const blocked = function Function() { throw new EvalError("code from text is not allowed here"); };
  for (const sample of [function () {}, async function () {}, function* () {}, async function* () {}]) {
    const prototype = Object.getPrototypeOf(sample);
    Object.defineProperty(prototype, "constructor", { value: blocked, writable: false, configurable: false });
  }
  blocked.prototype = Object.getPrototypeOf(function () {});
  globalThis.Function = blocked;

  const show = (value, depth = 0) => {
    if (typeof value === "string") return depth ? stringify(value) : value;
    if (typeof value === "function") return `[Function ${value.name || "anonymous"}]`;
    if (typeof value === "bigint") return `${value}n`;
    if (value instanceof Error) return value.stack ? `${value}\n${value.stack}` : String(value);
    if (value === null || typeof value !== "object") return String(value);
    if (depth > 3) return Array.isArray(value) ? "[Array]" : "[Object]";
    if (Array.isArray(value)) return `[${value.map((item) => show(item, depth + 1)).join(", ")}]`;
    const fields = Object.entries(value).map(([key, item]) => `${key}: ${show(item, depth + 1)}`);
    return fields.length ? `{ ${fields.join(", ")} }` : "{}";
  };
  const log = (level) => (...values) => emit(level, values.map((value) => show(value)).join(" "));
  globalThis.console = { log: log("info"), info: log("info"), warn: log("warn"), error: log("error"), debug: log("debug") };
  globalThis.writeLog = log("info");

  const register = (kind, fields) => {
    if (phase !== "init") return console.warn(`${kind}: registrations take effect in init() only`);
    registrations.push({ kind, ...fields });
  };
  const nameOf = (handler) => (typeof handler === "function" ? handler.name : String(handler));
  const route = (path, handler, method = "GET", openapi = null) =>
    register("route", { path: String(path), handler: nameOf(handler), method: String(method).toUpperCase(), openapi });
  globalThis.register = (path, handler, method) => route(path, handler, method);
  globalThis.registerHandler = (method, path, handler) => route(path, handler, method);
  globalThis.routeRegistry = { registerRoute: route };

  const lower = (name) => String(name).toLowerCase();
  class Headers {
    #entries = new Map();
    constructor(init = {}) {
      const pairs = init instanceof Headers ? init.entries() : Array.isArray(init) ? init : Object.entries(init ?? {});
      for (const [name, value] of pairs) this.append(name, value);
    }
    append(name, value) { const key = lower(name); this.#entries.set(key, this.#entries.has(key) ? `${this.#entries.get(key)}, ${value}` : String(value)); }
    set(name, value) { this.#entries.set(lower(name), String(value)); }
    get(name) { return this.#entries.get(lower(name)) ?? null; }
    has(name) { return this.#entries.has(lower(name)); }
    delete(name) { this.#entries.delete(lower(name)); }
    forEach(callback) { for (const [name, value] of this.#entries) callback(value, name, this); }
    entries() { return this.#entries.entries(); }
    keys() { return this.#entries.keys(); }
    values() { return this.#entries.values(); }
    [Symbol.iterator]() { return this.entries(); }
  }
  class Response {
    constructor(body = null, init = {}) {
      this.body = body;
      this.status = init.status ?? 200;
      this.headers = new Headers(init.headers);
      if (typeof body === "string" && !this.headers.has("content-type")) this.headers.set("content-type", "text/plain; charset=utf-8");
    }
    get ok() { return this.status >= 200 && this.status < 300; }
    async text() { return this.body === null ? "" : typeof this.body === "string" ? this.body : new TextDecoder().decode(this.body); }
    async json() { return parse(await this.text()); }
    static json(value, init = {}) {
      const response = new Response(stringify(value), init);
      if (!new Headers(init.headers).has("content-type")) response.headers.set("content-type", "application/json");
      return response;
    }
    static redirect(location, status = 302) { return new Response(null, { status, headers: { location: String(location) } }); }
  }
  const typed = (body, type, status = 200) => new Response(body, { status, headers: { "content-type": type } });
  globalThis.Headers = Headers;
  globalThis.Response = Response;
  globalThis.ResponseBuilder = {
    json: (data, status = 200) => Response.json(data, { status }),
    text: (text, status = 200) => typed(String(text), "text/plain; charset=utf-8", status),
    html: (text, status = 200) => typed(String(text), "text/html; charset=utf-8", status),
    error: (status, message) => Response.json({ error: String(message) }, { status }),
    noContent: () => new Response(null, { status: 204 }),
    redirect: (location) => Response.redirect(location),
  };

  const entities = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  class Html { constructor(text) { this.text = text; } toString() { return this.text; } }
  globalThis.escapeHtml = (text) => String(text).replace(/[&<>"']/g, (found) => entities[found]);
  globalThis.escapeJs = (text) =>
    String(text).replace(/[\\'"`<>&\/\u0000-\u001f\u2028\u2029]/g, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
  globalThis.encodeUrl = (text) => encodeURIComponent(String(text));
  const filled = (value) => (value instanceof Html ? value.text : Array.isArray(value) ? value.map(filled).join("") : escapeHtml(value ?? ""));
  globalThis.html = (texts, ...values) => new Html(texts.reduce((whole, text, index) => whole + filled(values[index - 1]) + text));

  const base64 = (bytes) => {
    let binary = "";
    for (let at = 0; at < bytes.length; at += 8192) binary += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(binary);
  };
  const bodyOf = (body) => {
    if (body === null || body === undefined) return { body: null };
    if (body instanceof ArrayBuffer) return { bodyBase64: base64(new Uint8Array(body)) };
    if (ArrayBuffer.isView(body)) return { bodyBase64: base64(new Uint8Array(body.buffer, body.byteOffset, body.byteLength)) };
    return { body: typeof body === "string" ? body : body instanceof Html ? body.text : stringify(body) };
  };
  // What a handler may return, brought to {status, headers: [[name, value]], body | bodyBase64}.
  const answer = (value) => {
    if (value instanceof Response) return { status: value.status, headers: [...value.headers], ...bodyOf(value.body) };
    if (value instanceof Html) return { status: 200, headers: [["content-type", "text/html; charset=utf-8"]], body: value.text };
    if (typeof value === "string") return { status: 200, headers: [["content-type", "text/plain; charset=utf-8"]], body: value };
    if (value === null || value === undefined) return { status: 204, headers: [], body: null };
    if (typeof value !== "object") throw new TypeError(`a handler returned ${typeof value}, not a response`);
    const known = ["status", "body", "bodyBase64", "headers", "contentType"].some((name) => name in value);
    if (!known) return { status: 200, headers: [["content-type", "application/json"]], body: stringify(value) };
    const headers = Object.entries(value.headers ?? {}).map(([name, text]) => [name, String(text)]);
    const json = value.body !== null && typeof value.body === "object" && !ArrayBuffer.isView(value.body) && !(value.body instanceof ArrayBuffer);
    if (value.contentType) headers.push(["content-type", String(value.contentType)]);
    else if (json && !headers.some(([name]) => lower(name) === "content-type")) headers.push(["content-type", "application/json"]);
    return { status: value.status ?? 200, headers, ...(value.bodyBase64 !== undefined ? { bodyBase64: String(value.bodyBase64) } : bodyOf(value.body)) };
  };

  // A handler gets one argument that is both the request (style A) and the context that holds it (style B).
  const requestOf = (plain) => {
    const request = plain.request;
    const form = () => Object.fromEntries((request.body ?? "").split("&").filter(Boolean).map((pair) => {
      const [name, value = ""] = pair.split("=").map((part) => decodeURIComponent(part.replace(/\+/g, " ")));
      return [name, value];
    }));
    const isForm = String(request.headers["content-type"] ?? "").startsWith("application/x-www-form-urlencoded");
    Object.defineProperty(request, "form", { enumerable: true, get: () => (isForm ? form() : {}) });
    request.json = () => parse(request.body ?? "null");
    request.files = [];
    request.request = request;
    request.args = plain.args ?? {};
    request.kind = plain.kind;
    request.invocationId = plain.invocationId;
    return request;
  };

  const call = async (name, target, argument) => {
    if (target === undefined && name !== "init") throw new ReferenceError(`there is no function ${name}`);
    if (name === "init") {
      phase = "init";
      if (target !== undefined) await target(argument);
      return stringify({ registrations });
    }
    phase = "call";
    return stringify(answer(await target(requestOf(argument))));
  };
  Object.defineProperty(globalThis, "__runstead", { value: Object.freeze({ call }) });
})();
