// What a script asks for in init(); elsewhere it is told that it is of no use.
(tools) => {
  const isInit = () => tools.registrations !== undefined;
  const add = (kind, name, fields) => {
    if (isInit()) tools.registrations.push({ kind, ...fields });
    else tools.load("console").console.warn(`${name}: registrations are made in init() only`);
  };
  // A copy, as JSON has it; some hand over text that is JSON already.
  const plain = (value) => (value === undefined || value === null ? null : tools.parse(typeof value === "string" ? value : tools.stringify(value)));
  const named = (handler) => (typeof handler === "function" ? handler.name : String(handler));
  const textOf = (data) => (typeof data === "string" ? data : tools.stringify(data ?? null));
  const route = (path, handler, method = "GET", openapi = null) => add("route", path, {
    path: String(path),
    handler: named(handler),
    method: String(method).toUpperCase(),
    openapi: plain(openapi),
  });
  const stream = (path, customizer = null, openapi = null) => add("stream", path, {
    path: String(path),
    handler: customizer === null || customizer === undefined ? "" : named(customizer),
    openapi: plain(openapi),
  });
  const asset = (path, name, openapi = null) => add("asset", path, { path: String(path), asset: String(name), openapi: plain(openapi) });
  const send = (path, data) => tools.ask("stream.send", String(path), textOf(data), null, "subset");
  const sendFiltered = (path, data, filter, mode = "subset") => tools.ask("stream.send", String(path), textOf(data), textOf(filter), String(mode));

  const graphql = (operation) => (name, sdl, resolver, visibility = "external") => add("graphql", name, {
    operation, name: String(name), sdl: String(sdl), handler: named(resolver), visibility: String(visibility),
  });
  const [query, mutation, subscription] = ["query", "mutation", "subscription"].map(graphql);
  const publish = (name, data, filter = null, mode = "subset") => tools.ask("graphql.send", String(name), textOf(data), filter === null ? null : textOf(filter), String(mode));
  const tool = (name, description, schema, handler) => add("mcp", name, {
    what: "tool", name: String(name), description: String(description), schema: plain(schema), handler: named(handler),
  });
  const resource = (uri, name, description, handler) => add("mcp", name, {
    what: "resource", uri: String(uri), name: String(name), description: String(description), handler: named(handler),
  });
  const prompt = (name, description, schema, handler) => add("mcp", name, {
    what: "prompt", name: String(name), description: String(description), schema: plain(schema), handler: named(handler),
  });
  const webhook = (event, url, options = {}) => add("webhook", event, {
    event: String(event), url: String(url), secret: options?.secret === undefined ? null : String(options.secret), headers: plain(options?.headers) ?? {},
  });

  const listener = (type, handler) => add("listener", type, { type: String(type), handler: named(handler) });
  const message = (type, data = null) => tools.ask("message.send", String(type), textOf(data));

  // Times as the server takes them: RFC 3339.
  const moment = (value) => (value === undefined || value === null ? null : new Date(value).toISOString());
  const schedule = (fields) => {
    if (isInit()) tools.registrations.push({ kind: "schedule", ...fields });
    else tools.ask("schedule.add", fields);
  };
  const schedulerService = {
    registerOnce: ({ handler, runAt, name }) => schedule({ handler: named(handler), name: String(name ?? named(handler)), at: moment(runAt), every: null }),
    registerRecurring: ({ handler, intervalMilliseconds, intervalMinutes, name, startAt }) => schedule({
      handler: named(handler),
      name: String(name ?? named(handler)),
      at: moment(startAt),
      every: intervalMilliseconds === undefined ? Number(intervalMinutes) * 60000 : Number(intervalMilliseconds),
    }),
    clearAll: () => (isInit() ? void tools.registrations.push({ kind: "clearSchedules" }) : void tools.ask("schedule.clear")),
  };
  return {
    register: (path, handler, method) => route(path, handler, method),
    registerHandler: (method, path, handler) => route(path, handler, method),
    registerWebStream: (path) => stream(path),
    sendStreamMessageToPath: send,
    registerGraphQLQuery: query,
    registerGraphQLMutation: mutation,
    registerGraphQLSubscription: subscription,
    sendSubscriptionMessage: publish,
    registerMCPTool: tool,
    registerMCPResource: resource,
    registerMCPPrompt: prompt,
    registerWebhook: webhook,
    routeRegistry: {
      registerRoute: route,
      registerStreamRoute: stream,
      registerAssetRoute: asset,
      sendStreamMessage: send,
      sendStreamMessageFiltered: sendFiltered,
    },
    graphQLRegistry: {
      registerQuery: query,
      registerMutation: mutation,
      registerSubscription: subscription,
      executeGraphQL: (text, variables = "{}") => tools.ask("graphql.execute", String(text), textOf(variables)),
      sendSubscriptionMessage: publish,
      sendSubscriptionMessageFiltered: publish,
    },
    mcpRegistry: { registerTool: tool, registerResource: resource, registerPrompt: prompt },
    dispatcher: { registerListener: listener, sendMessage: message },
    schedulerService,
  };
};
