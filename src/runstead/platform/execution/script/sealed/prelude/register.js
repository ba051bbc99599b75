// What a script asks for in init(); elsewhere it is told that it is of no use.
(tools) => {
  const add = (kind, name, fields) => {
    if (tools.registrations === undefined) console.warn(`${name}: registrations are made in init() only`);
    else tools.registrations.push({ kind, ...fields });
  };
  // A copy, as JSON has it; some hand over text that is JSON already.
  const plain = (value) => (value === undefined || value === null ? null : tools.parse(typeof value === "string" ? value : tools.stringify(value)));
  const route = (path, handler, method = "GET", openapi = null) => add("route", path, {
    path: String(path),
    handler: typeof handler === "function" ? handler.name : String(handler),
    method: String(method).toUpperCase(),
    openapi: plain(openapi),
  });
  return {
    register: (path, handler, method) => route(path, handler, method),
    registerHandler: (method, path, handler) => route(path, handler, method),
    routeRegistry: { registerRoute: route },
  };
};
