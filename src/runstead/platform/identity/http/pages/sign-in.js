// What the page is for stands after the # of its address, which no server and no log ever sees: "#setup=LINK",
// "#invitation=LINK" or "#reset=LINK"; without it, it is for signing in.
const MODES = {
  login: { lead: "Sign in to go on.", go: "Sign in", url: "/auth/login" },
  setup: { lead: "Welcome. Make the first administrator.", go: "Make administrator", url: "/auth/setup" },
  invitation: { lead: "You were invited. Choose a name and a password.", go: "Join", url: "/auth/join" },
  reset: { lead: "Choose another password.", go: "Set password", url: "/auth/reset" },
};

const at = (id) => document.getElementById(id);
const form = at("form");
// The password was right, a second factor is to follow.
let halfDone = false;
const [kind, link] = location.hash.slice(1).split("=", 2);
const mode = Object.hasOwn(MODES, kind) && link ? kind : "login";

function arrange() {
  const { lead, go } = MODES[mode];
  at("lead").textContent = lead;
  at("go").textContent = go;
  at("passkey").hidden = mode !== "login" || !window.PublicKeyCredential?.parseRequestOptionsFromJSON;
  if (kind === "problem") complain({ message: PROBLEMS[link] ?? "That did not work. Try again." });
  if (mode === "login") return;
  // The link is a secret: it must not stay in the history.
  history.replaceState(null, "", location.pathname);
  at("password-label").textContent = "New password (10 characters or more)";
  form.password.autocomplete = "new-password";
  at("name-label").textContent = "Name";
  at("name-field").hidden = mode === "reset";
  at("mail-field").hidden = mode === "reset";
}

function bodyOf() {
  const password = form.password.value;
  if (mode === "reset") return { link, password };
  const name = form.name.value.trim();
  if (mode !== "login") return { link, name, password, mail: form.mail.value.trim() || null };
  return { name, password, code: form.code.value.trim() || null };
}

async function send(url, body) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "Content-Type": "application/json", ...csrf() },
    body: JSON.stringify(body),
  });
  const text = await answer.text();
  return { ok: answer.ok, value: text ? JSON.parse(text) : null };
}

function csrf() {
  const found = document.cookie.match(/(?:^|; )(?:__Host-)?runstead-csrf=([^;]+)/);
  return found ? { "X-CSRF-Token": found[1] } : {};
}

// What the page is told after a provider has sent somebody back.
const PROBLEMS = {
  E_NO_ACCOUNT: "Nobody here goes by that account. Ask for an invitation, or sign in and link it.",
  E_CHALLENGE: "That took too long, or was begun in another browser. Try again.",
  E_PROVIDER_REFUSED: "The provider did not let you in.",
  E_PROVIDER: "The provider cannot be reached. Try again later.",
  E_ID_TOKEN: "What the provider sent is not valid.",
  E_CONFLICT: "That account is linked to somebody else here.",
};

function complain(error) {
  if (error.code === "E_SECOND_FACTOR" && !halfDone) {
    const methods = error.details?.methods ?? ["totp"];
    at("code-field").hidden = !methods.includes("totp") && !methods.includes("recovery");
    at("lead").textContent = methods.includes("passkey") ? "Now show your passkey." : "One more step.";
    halfDone = true;
    if (!at("code-field").hidden) form.code.focus();
    return;
  }
  const fields = Array.isArray(error.details) ? error.details.map((one) => `${one.field}: ${one.message}`) : [];
  at("problem").textContent = [error.message, ...fields].join(" ");
  at("problem").hidden = false;
}

// Only paths of this server: "//host" and "/\host" would lead elsewhere.
function next() {
  const wanted = new URLSearchParams(location.search).get("next") ?? "";
  return /^\/(?![/\\])[^\s]*$/.test(wanted) ? wanted : null;
}

function welcome(me) {
  if (next()) return location.replace(next());
  form.hidden = true;
  at("providers").hidden = true;
  at("lead").textContent = "";
  at("who").textContent = me.name;
  at("welcome").hidden = false;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  at("problem").hidden = true;
  at("go").disabled = true;
  try {
    const { ok, value } = await send(MODES[mode].url, bodyOf());
    if (!ok) complain(value.error);
    else if (mode === "reset") location.assign("/auth/sign-in");
    else welcome(value);
  } catch {
    complain({ message: "The server cannot be reached." });
  } finally {
    at("go").disabled = false;
  }
});

async function proveByPasskey() {
  const { value } = await send("/auth/passkey/options", {});
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(value.options);
  const credential = await navigator.credentials.get({ publicKey });
  return { state: value.state, credential: credential.toJSON() };
}

at("passkey").addEventListener("click", async () => {
  at("problem").hidden = true;
  try {
    const proof = await proveByPasskey();
    const { ok, value } = halfDone
      ? await send("/auth/login", { ...bodyOf(), code: null, passkey: proof })
      : await send("/auth/passkey", proof);
    if (ok) welcome(value);
    else complain(value.error);
  } catch (error) {
    complain({ message: `The passkey was not used: ${error.message}` });
  }
});

at("out").addEventListener("click", async () => {
  await send("/auth/logout", {});
  location.reload();
});

async function offerProviders() {
  const answer = await fetch("/auth/providers");
  if (!answer.ok || mode !== "login") return;
  for (const provider of (await answer.json()).providers ?? []) {
    const door = document.createElement("a");
    door.href = `/auth/login/${encodeURIComponent(provider.name)}`;
    door.textContent = `Sign in with ${provider.title ?? provider.name}`;
    at("providers").append(door);
    at("providers").hidden = false;
  }
}

arrange();
if (mode === "login") {
  const me = await (await fetch("/auth/me")).json();
  if (me.kind === "user") welcome(me);
  else await offerProviders();
}
