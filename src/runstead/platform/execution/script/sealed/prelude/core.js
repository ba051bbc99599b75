// What a script finds besides the language. Compiled anew for each context, which is most of what a context costs, so only what
// nearly every script uses stands here; the rest is in pieces that are compiled at the first use of one of their names.
const root = globalThis;
const { __host: host, __later: send, __console: emit, __piece: source, __random: random, __digest: digest } = root;
for (const name of ["__host", "__later", "__console", "__piece", "__random", "__digest"]) delete root[name];
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
const define = (name, value) => Object.defineProperty(root, name, { value, writable: true, configurable: true });
const loaded = {};
const load = (name) => (loaded[name] ??= compile(source(name))(tools));
const tools = { load, stringify, parse, random, digest, emit, ask, send, reply: Symbol("reply"), user: null, get later() { return load("later").later; } };
// Names of pieces that the script mentions: it is asked for each once, and what is not there is not defined, as it should be.
const provide = (piece, name) => Object.defineProperty(root, name, {
  configurable: true,
  get: () => (define(name, load(piece)[name]), root[name]),
  set: (value) => define(name, value),
});

// One argument is both the request (style A) and the context that holds it (style B).
const argumentOf = ({ request, kind, args, invocationId, user }) => {
  tools.user = user ?? null;
  if (!request) return { request: null, kind, args, invocationId, message: args, data: args?.data };
  const { bodyBytes } = request;
  const hidden = (name, value) => Object.defineProperty(request, name, { value });
  if (bodyBytes === undefined) {
    hidden("text", () => request.body);
    hidden("json", () => load("refusal").json(request.body));
    hidden("bytes", () => new TextEncoder().encode(request.body));
  } else load("form").carry(request, bodyBytes);
  Object.defineProperty(request, "form", { get: () => load("form").formOf(request), enumerable: true });
  hidden("request", request);
  request.files = request.files ? load("upload").filesOf(request.files) : [];
  return Object.assign(request, { args, kind, invocationId });
};

const replyOf = (value) => {
  const reply = value?.[tools.reply] ? value[tools.reply]() : load("answer")(value);
  return typeof reply.body === "string" || reply.body === null ? reply : load("flow")(reply);
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
  return argument.kind === "httpRoute" ? replyOf(value) : load("told")(argument.kind, value, replyOf);
};
const thrown = (error) => {
  // What refuses has its own answer.
  if (error?.[tools.reply]) return error[tools.reply]();
  throw error instanceof Error ? error : new Error(`thrown: ${typeof error === "string" ? error : load("show").show(error)}`);
};
let main;
const start = (name, target) => (main = invoke(name, target).catch(thrown));
const settle = () => {
  const results = root.__results;
  delete root.__results;
  load("later").settle(results);
  return main;
};
Object.defineProperty(root, "__runstead", { value: Object.freeze(Object.assign(start, { provide, settle, waits: () => load("later").waits() })) });
