"use strict";

// Everything that is shown is set as text, never as HTML: apps describe their own routes here, and an app is not trusted.

const METHODS = ["get", "post", "put", "patch", "delete", "head", "options", "trace"];
const SHOWN_MAX = 200_000; // characters of an answer
const DEPTH_MAX = 6; // levels of a schema

let description = {};

function node(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== ""));
  return element;
}

// $ref → what it stands for; only within this document.
function resolved(value) {
  let found = value;
  for (let hops = 0; found && found.$ref && hops < 20; hops++) {
    found = found.$ref.replace(/^#\//, "").split("/").reduce(
      (at, key) => at?.[decodeURIComponent(key).replace(/~1/g, "/").replace(/~0/g, "~")], description);
  }
  return found ?? {};
}

function typeName(schema) {
  const named = schema.$ref?.split("/").pop();
  const whole = resolved(schema);
  if (named && whole.type === "object") return whole.title ?? named;
  for (const key of ["oneOf", "anyOf"]) {
    if (whole[key]) return whole[key].map(typeName).join(" | ");
  }
  if (whole.const !== undefined) return JSON.stringify(whole.const);
  if (whole.enum) return whole.enum.map((value) => JSON.stringify(value)).join(" | ");
  const types = [].concat(whole.type ?? (whole.properties ? "object" : "any"));
  return types.map((type) => type === "array" ? `array of ${typeName(whole.items ?? {})}` : type).join(" | ")
    + (whole.format ? ` (${whole.format})` : "");
}

const LIMITS = {
  minimum: "≥ ", exclusiveMinimum: "> ", maximum: "≤ ", exclusiveMaximum: "< ", minLength: "length ≥ ", maxLength: "length ≤ ",
  minItems: "items ≥ ", maxItems: "items ≤ ", pattern: "matches ", default: "default ",
};

function notes(schema) {
  const whole = resolved(schema);
  const limits = Object.entries(LIMITS).filter(([key]) => whole[key] !== undefined && whole[key] !== null)
    .map(([key, text]) => text + (typeof whole[key] === "string" ? whole[key] : JSON.stringify(whole[key])));
  return [whole.description, limits.join(", ")].filter(Boolean).join(" · ");
}

function parts(schema) {
  const whole = resolved(schema);
  const merged = { properties: { ...whole.properties }, required: [...(whole.required ?? [])], items: whole.items };
  for (const piece of [...(whole.allOf ?? []), ...(whole.oneOf ?? []), ...(whole.anyOf ?? [])]) {
    const inner = parts(piece);
    Object.assign(merged.properties, inner.properties);
    if (whole.allOf) merged.required.push(...inner.required);
    merged.items ??= inner.items;
  }
  return merged;
}

function schemaTree(schema, depth = 0) {
  const { properties, required, items } = parts(schema);
  const names = Object.keys(properties);
  if (depth >= DEPTH_MAX) return undefined;
  if (!names.length) return items ? schemaTree(items, depth + 1) : undefined;
  return node("ul", { class: "schema" }, names.map((name) => node("li", {},
    node("code", {}, name), " ",
    node("span", { class: "type" }, typeName(properties[name])),
    required.includes(name) ? node("span", { class: "required" }, " required") : "",
    notes(properties[name]) ? node("span", { class: "note" }, " · ", notes(properties[name])) : "",
    schemaTree(properties[name], depth + 1))));
}

function example(schema, depth = 0) {
  const whole = resolved(schema);
  if (whole.examples?.length) return whole.examples[0];
  if (whole.example !== undefined) return whole.example;
  if (whole.default !== undefined) return whole.default;
  if (whole.const !== undefined) return whole.const;
  if (whole.enum) return whole.enum[0];
  const choice = (whole.oneOf ?? whole.anyOf ?? []).find((each) => resolved(each).type !== "null");
  if (choice) return example(choice, depth);
  const type = [].concat(whole.type ?? "object").find((each) => each !== "null");
  if (type === "string") return whole.format === "date-time" ? "2026-01-31T12:00:00Z" : "text";
  if (type === "integer" || type === "number") return whole.minimum ?? 0;
  if (type === "boolean") return false;
  if (depth >= DEPTH_MAX) return null;
  if (type === "array") return whole.items ? [example(whole.items, depth + 1)] : [];
  const { properties, required } = parts(schema);
  const names = required.length || depth ? required : Object.keys(properties);
  return Object.fromEntries(names.map((name) => [name, example(properties[name] ?? {}, depth + 1)]));
}

function parametersOf(item, operation) {
  return [...(item.parameters ?? []), ...(operation.parameters ?? [])].map(resolved);
}

function parameterTable(parameters) {
  return node("table", {}, node("tbody", {}, parameters.map((parameter) => node("tr", {},
    node("td", { class: "name" }, node("code", {}, parameter.name), parameter.required ? node("em", {}, " required") : ""),
    node("td", { class: "type" }, `${typeName(parameter.schema ?? {})}, in ${parameter.in}`),
    node("td", {}, [parameter.description, notes(parameter.schema ?? {})].filter(Boolean).join(" · "))))));
}

function responseList(responses) {
  return node("div", { class: "responses" }, Object.entries(responses).map(([status, reference]) => {
    const response = resolved(reference);
    const kind = /^[23]/.test(status) ? "good" : "bad";
    const contents = Object.entries(response.content ?? {});
    return node("details", {},
      node("summary", {}, node("span", { class: `status ${kind}` }, status), response.description ?? ""),
      contents.map(([media, content]) => node("div", {},
        node("p", {}, node("code", {}, media), " ", typeName(content.schema ?? {})),
        schemaTree(content.schema ?? {}))));
  }));
}

// ---- try it

function credentialHeaders(operation) {
  const credential = document.getElementById("credential").value;
  return credential && operation.security ? { Authorization: `Bearer ${credential}` } : {};
}

function requestOf(method, path, operation, form) {
  const query = new URLSearchParams();
  const headers = { Accept: "application/json, text/event-stream;q=0.9, */*;q=0.5", ...credentialHeaders(operation) };
  let target = path;
  for (const input of form.querySelectorAll("[data-in]")) {
    const { in: place, name } = input.dataset;
    if (place === "path") target = target.replace(`{${name}}`, () => encodeURIComponent(input.value));
    else if (!input.value) continue;
    else if (place === "query") query.append(name, input.value);
    else if (place === "header") headers[name] = input.value;
  }
  const body = form.querySelector("textarea")?.value || undefined;
  if (body !== undefined) headers["Content-Type"] = form.dataset.media;
  const url = query.size ? `${target}?${query}` : target;
  return { url, options: { method: method.toUpperCase(), headers, body, redirect: "manual" } };
}

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function curlLine({ url, options }) {
  const words = ["curl", "-i"];
  if (options.method !== "GET") words.push("-X", options.method);
  for (const [name, value] of Object.entries(options.headers)) {
    if (name === "Accept") continue;
    words.push("-H", name === "Authorization" ? '"Authorization: Bearer $RUNSTEAD_ADMIN_TOKEN"' : quoted(`${name}: ${value}`));
  }
  if (options.body !== undefined) words.push("-d", quoted(options.body));
  return [...words, quoted(location.origin + url)].join(" ");
}

function pretty(text, media) {
  if (!/json/.test(media)) return text;
  try { return JSON.stringify(JSON.parse(text), null, 2); } catch { return text; }
}

async function send(request, result, signal) {
  const began = performance.now();
  const response = await fetch(request.url, { ...request.options, signal });
  const media = response.headers.get("content-type") ?? "";
  const status = node("p", {});
  const output = node("pre", { tabindex: "0" });
  result.replaceChildren(status, node("pre", {}, [...response.headers].map(([name, value]) => `${name}: ${value}`).join("\n")), output);
  const label = () => {
    const kind = response.ok ? "good" : "bad";
    status.replaceChildren(node("span", { class: `status ${kind}` }, `${response.status} ${response.statusText}`),
      ` ${Math.round(performance.now() - began)} ms`);
  };
  label();
  const reader = response.body?.getReader();
  const decoder = new TextDecoder();
  let text = "";
  while (reader) {
    const { done, value } = await reader.read();
    if (done) break;
    text += decoder.decode(value, { stream: true });
    output.textContent = text.slice(-SHOWN_MAX);
  }
  output.textContent = pretty(text.slice(-SHOWN_MAX), media) || "(no body)";
  label();
}

function tryIt(method, path, item, operation) {
  const parameters = parametersOf(item, operation).filter(({ in: place }) => place !== "cookie");
  const [media, content] = Object.entries(resolved(operation.requestBody ?? {}).content ?? {})[0] ?? [];
  const result = node("div", { "aria-live": "polite" });
  const curl = node("pre", {});
  let stopping;
  const stop = node("button", { type: "button", disabled: true, onclick: () => stopping?.abort() }, "Stop");
  const form = node("form", {
    class: "try", "data-media": media ?? "",
    oninput: () => { curl.textContent = curlLine(requestOf(method, path, operation, form)); },
    onsubmit: async (event) => {
      event.preventDefault();
      stopping?.abort();
      stopping = new AbortController();
      stop.disabled = false;
      try {
        await send(requestOf(method, path, operation, form), result, stopping.signal);
      } catch (error) {
        if (error.name !== "AbortError") result.append(node("p", { class: "failure" }, String(error)));
      }
      stop.disabled = true;
    },
  },
    node("h3", {}, "Try it"),
    parameters.length ? node("div", { class: "fields" }, parameters.map((parameter) => node("label", {},
      `${parameter.name}${parameter.required ? " *" : ""}`,
      node("input", { "data-in": parameter.in, "data-name": parameter.name, required: parameter.required,
        placeholder: typeName(parameter.schema ?? {}), value: parameter.schema?.default, autocomplete: "off" })))) : "",
    media ? node("label", {}, `Body (${media})`, node("textarea", { spellcheck: "false" },
      /json/.test(media) ? JSON.stringify(example(content.schema ?? {}), null, 2) : "")) : "",
    node("div", { class: "row" }, node("button", { class: "send" }, "Send"), stop), curl, result);
  curl.textContent = curlLine(requestOf(method, path, operation, form));
  return form;
}

// ---- the page

function inside(method, path, item, operation) {
  const parameters = parametersOf(item, operation);
  const body = resolved(operation.requestBody ?? {});
  return node("div", { class: "inside" },
    operation.description && operation.description !== operation.summary ? node("p", {}, operation.description) : "",
    operation["x-runstead-actions"] ? node("p", {}, "Needs ", node("code", {}, operation["x-runstead-actions"].join(", ")), ".") : "",
    parameters.length ? [node("h3", {}, "Parameters"), parameterTable(parameters)] : "",
    Object.entries(body.content ?? {}).map(([media, content]) => [
      node("h3", {}, "Body ", node("code", {}, media)),
      body.description ? node("p", {}, body.description) : "",
      schemaTree(content.schema ?? {}) ?? node("p", {}, typeName(content.schema ?? {}))]),
    node("h3", {}, "Answers"), responseList(operation.responses ?? {}),
    tryIt(method, path, item, operation));
}

function operationNode({ id, method, path, item, operation }) {
  const details = node("details", { class: "operation", id },
    node("summary", {}, node("span", { class: `method ${method}` }, method), node("span", { class: "path" }, path),
      operation.security?.length ? node("span", { class: "lock" }, "credential") : "",
      node("span", { class: "summary" }, operation.summary ?? "")));
  // Hundreds of operations: what is inside is made when it is looked at.
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(inside(method, path, item, operation));
  });
  return details;
}

function operationsOf(paths) {
  const found = [];
  for (const [path, item] of Object.entries(paths ?? {})) {
    for (const method of METHODS) {
      const operation = item[method];
      if (!operation) continue;
      const tag = operation.tags?.[0] ?? "other";
      const id = `${method}${path}`.replace(/[^A-Za-z0-9]+/g, "-");
      const words = [path, method, tag, operation.summary, operation.description, operation.operationId].join(" ").toLowerCase();
      found.push({ id, method, path, item, operation, tag, words });
    }
  }
  return found;
}

function show(filter) {
  const wanted = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map();
  for (const each of operationsOf(description.paths)) {
    if (!wanted.every((word) => each.words.includes(word))) continue;
    groups.set(each.tag, [...(groups.get(each.tag) ?? []), each]);
  }
  // The server's own routes are what one looks for least.
  const tags = [...groups.keys()].sort((a, b) => (a === "server") - (b === "server") || a.localeCompare(b));
  document.getElementById("contents").replaceChildren(...tags.flatMap((tag) => [node("h2", {}, tag),
    ...groups.get(tag).map(({ id, method, path }) => node("a", { href: `#${id}` },
      node("span", { class: `method ${method}` }, method), node("span", { class: "path" }, path)))]));
  const sections = tags.map((tag) => node("section", {}, node("h2", {}, tag), groups.get(tag).map(operationNode)));
  document.getElementById("operations").replaceChildren(...(sections.length ? sections : [node("p", {}, "Nothing matches.")]));
  openTarget();
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target?.matches("details")) { target.open = true; target.scrollIntoView(); }
}

async function start() {
  const filter = document.getElementById("filter");
  const credential = document.getElementById("credential");
  credential.value = sessionStorage.getItem("credential") ?? "";
  credential.addEventListener("input", () => sessionStorage.setItem("credential", credential.value));
  filter.addEventListener("input", () => show(filter.value));
  document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", openTarget);
  try {
    const response = await fetch("/openapi.json");
    if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
    description = await response.json();
  } catch (error) {
    document.getElementById("operations").replaceChildren(node("p", { class: "failure" }, `openapi.json could not be read: ${error.message}`));
    return;
  }
  document.title = `API · ${description.info.title}`;
  document.getElementById("title").replaceChildren(description.info.title, " ", node("small", {}, description.info.version));
  document.getElementById("description").textContent = description.info.description ?? "";
  show("");
}

start();
