// Files: uploaded to disk while they arrive, kept as files of the app, listed and served again.
const FOLDER = "uploads/";
const TYPES = ["image/png", "image/jpeg", "text/plain", "application/pdf"];

const nameOf = (text) => text.replace(/^.*[/\\]/, "").replace(/[^A-Za-z0-9._-]/g, "_").replace(/^[.]+/, "") || "file";

function show() {
  const files = assetStorage.listAssets().filter((name) => name.startsWith(FOLDER));
  return ResponseBuilder.html(html`<!doctype html><title>Files</title><h1>Files</h1>
<ul>${files.map((name) => html`<li><a href="/uploads/${name.slice(FOLDER.length)}">${name.slice(FOLDER.length)}</a></li>`)}</ul>
<form method="post" action="/upload" enctype="multipart/form-data"><input type="file" name="file" multiple> <button>Upload</button></form>`);
}

async function take(request) {
  if (!request.files.length) return ResponseBuilder.error(400, "no file was sent");
  const kept = [];
  for (const file of request.files) {
    if (!TYPES.includes(file.type)) return ResponseBuilder.error(415, `${file.name} is none of ${TYPES.join(", ")}`);
    const { sha256, bytes } = await file.save(FOLDER + nameOf(file.name));
    kept.push({ name: nameOf(file.name), sha256, bytes });
  }
  return ResponseBuilder.json({ kept }, 201);
}

function init() {
  register("/upload", "show", "GET");
  register("/upload", "take", "POST");
  routeRegistry.registerAssetRoute("/uploads/*name", FOLDER);
}
