// What a script finds besides the language. Compiled anew for each context, which is most of what a context costs, so only what
// nearly every script uses stands here; the rest is in pieces that are compiled at the first use of one of their names.
const root = globalThis;
const { __host: host, __later: send, __console: emit, __piece: piece, __random: random } = root;
for (const name of ["__host", "__later", "__console", "__piece", "__random"]) delete root[name];
const { stringify, parse } = JSON;

// No code from text: neither by eval nor by any of the function constructors.
const compile = root.eval;
delete root.eval;
const Blocked = function Function() { throw new EvalError("code from text is not allowed"); };
for (const sample of [() => {}, async () => {}, function* () {}, async function* () {}]) {
  const prototype = Object.getPrototypeOf(sample);
  Object.defineProperty(prototype, "constructor", { value: Blocked, writable: false, configurable: false });
}
Blocked.prototype = Object.getPrototypeOf(() => {});
root.Function = Blocked;

// One call to the server, which decides; it throws what the server says.
const ask = (name, ...values) => {
  const answer = host(name, stringify(values));
  if (answer[0] === "-") throw new Error(answer.slice(1));
  return parse(answer.slice(1));
};
// The same, but the script goes on and gets a promise; the server brings the answers with settle().
const waiting = new Map();
let calls = 0;
let main;
const later = (name, ...values) => new Promise((resolve, reject) => {
  send(++calls, name, stringify(values));
  waiting.set(calls, [resolve, reject]);
});
const settle = () => {
  const results = root.__results;
  delete root.__results;
  for (const [number, ok, text] of results) {
    const [resolve, reject] = waiting.get(number);
    waiting.delete(number);
    if (ok) resolve(parse(text));
    else reject(new Error(text));
  }
  return main;
};

const define = (name, value) => Object.defineProperty(root, name, { value, writable: true, configurable: true });
const loaded = {};
const load = (name) => (loaded[name] ??= compile(piece(name))(tools));
const tools = { load, stringify, parse, random, ask, later, reply: Symbol("reply"), user: null };
const lazily = (name, names) => names.forEach((each) => Object.defineProperty(root, each, {
  configurable: true,
  get: () => (define(each, load(name)[each]), root[each]),
  set: (value) => define(each, value),
}));
lazily("register", ["register", "registerHandler", "routeRegistry"]);
lazily("web", ["Response", "ResponseBuilder"]);
lazily("headers", ["Headers"]);
lazily("request", ["Request"]);
lazily("text", ["escapeHtml", "escapeJs", "encodeUrl", "html"]);
lazily("url", ["URL", "URLSearchParams"]);
lazily("crypto", ["crypto"]);
lazily("auth", ["auth"]);
lazily("storage", ["sharedStorage", "personalStorage"]);
lazily("secrets", ["secretStorage"]);
lazily("fetch", ["fetch", "engine"]);
lazily("timers", ["setTimeout", "clearTimeout"]);

const textOf = (value) => (typeof value === "string" ? value : load("console").show(value));
const log = (level) => (...values) => emit(level, values.map(textOf).join(" ").slice(0, 8192));
root.console = { log: log("info"), info: log("info"), warn: log("warn"), error: log("error"), debug: log("debug") };
root.writeLog = root.console.log;

// One argument is both the request (style A) and the context that holds it (style B).
const argumentOf = ({ request, kind, args, invocationId, user }) => {
  tools.user = user ?? null;
  const { bodyBytes } = request;
  const hidden = (name, value) => Object.defineProperty(request, name, { value });
  if (bodyBytes === undefined) {
    hidden("text", () => request.body);
    hidden("json", () => parse(request.body));
    hidden("bytes", () => new TextEncoder().encode(request.body));
  } else load("form").carry(request, bodyBytes);
  Object.defineProperty(request, "form", { get: () => load("form").formOf(request), enumerable: true });
  hidden("request", request);
  return Object.assign(request, { files: [], args, kind, invocationId });
};

const invoke = async (name, target) => {
  const argument = root.__argument;
  delete root.__argument;
  if (name === "init") {
    tools.registrations = [];
    if (typeof target === "function") await target(argument);
    return { registrations: tools.registrations };
  }
  if (typeof target !== "function") throw new ReferenceError(`there is no function ${name}`);
  const value = await target(argumentOf(argument));
  return value?.[tools.reply] ? value[tools.reply]() : load("answer")(value);
};
const thrown = (error) => {
  // What refuses has its own answer.
  if (error?.[tools.reply]) return error[tools.reply]();
  throw error instanceof Error ? error : new Error(`thrown: ${textOf(error)}`);
};
const start = (name, target) => (main = invoke(name, target).catch(thrown));
Object.defineProperty(root, "__runstead", { value: Object.freeze(Object.assign(start, { settle, waits: () => waiting.size > 0 })) });
