// GET /hello/:name greets: as a page to browsers, as JSON to programs.
function hello(request) {
  const name = request.params.name;
  console.log(`greeting ${name}`);
  if (String(request.headers.accept ?? "").includes("text/html")) {
    return ResponseBuilder.html(html`<!doctype html><title>Hello</title><h1>Hello, ${name}!</h1>`);
  }
  return Response.json({ hello: name });
}

function init() {
  register("/hello/:name", "hello", "GET");
}
