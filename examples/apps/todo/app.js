// A list of things to do, in a database of the app's own. Changes that belong together happen together; two people who change the
// same thing do not overwrite each other.
async function list() {
  return Response.json(await db.query("select id, text, done, version from todos order by position, id"));
}

async function add(request) {
  const text = String(request.json()?.text ?? "").trim();
  if (!text) return ResponseBuilder.error(422, "what is there to do?");
  const { rows } = await db.execute(
    "insert into todos (text, position) select ?, coalesce(max(position), 0) + 1 from todos returning id, text, done, version",
    [text],
  );
  return Response.json(rows[0], { status: 201 });
}

async function change(request) {
  const { version, ...wanted } = request.json() ?? {};
  if (!Number.isInteger(version)) return ResponseBuilder.error(422, "which version did you see?");
  const changes = Object.fromEntries(Object.entries(wanted).filter(([name]) => ["text", "done"].includes(name)));
  if ("done" in changes) changes.done = changes.done ? 1 : 0;
  try {
    return Response.json(await db.updateVersioned("todos", { id: Number(request.params.id), version }, changes));
  } catch (error) {
    if (error.name !== "ConflictError") throw error;
    return error.current ? Response.json({ error: "it was changed meanwhile", current: error.current }, { status: 409 }) : ResponseBuilder.error(404, "there is no such thing");
  }
}

// All or nothing: an id that is not there leaves everything as it was.
async function reorder(request) {
  const ids = request.json();
  if (!Array.isArray(ids) || !ids.every(Number.isInteger)) return ResponseBuilder.error(422, "a list of ids is needed");
  await db.transaction(async (tx) => {
    for (const [position, id] of ids.entries()) {
      const { changes } = await tx.execute("update todos set position = ? where id = ?", [position, id]);
      if (!changes) throw Object.assign(new Error(`there is no ${id}`), { unknown: true });
    }
  }).catch((error) => { if (!error.unknown) throw error; throw ResponseBuilder.error(404, error.message); });
  return list();
}

async function init() {
  await db.migrate([
    "create table todos (id integer primary key, text text not null, done integer not null default 0, version integer not null default 1)",
    "alter table todos add column position integer not null default 0",
  ]);
  register("/todos", "list", "GET");
  register("/todos", "add", "POST");
  register("/todos/:id", "change", "PATCH");
  register("/todos/order", "reorder", "PUT");
}
