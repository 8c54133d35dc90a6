"use strict";

// The page of `sqlbypass serve`. Values reach the document as text only, never as markup.

const TRACED = 6;
const ARMED_MS = 4000;

const $ = (id) => document.getElementById(id);
const main = $("main");
let values = {};
let life = { stored: false };
let editing = null;
let changed = null;
let readable = false;
let last = null;
const trace = [];

// Requests

/** Sends a request and notes what it did. Throws an Error that can be shown. */
async function send(method, path, body) {
  const begun = { method, path };
  let response;
  try {
    response = await fetch(path, { method, body, headers: body && { "content-type": "application/json" } });
  } catch {
    note({ ...begun, did: "no answer", failed: true });
    throw new Error("The server does not answer. Is it still running?");
  }
  const text = await response.text();
  note({ ...begun, ...done(response) });
  if (response.ok) return text;
  let problem = `The server answered ${response.status}.`;
  try { problem = sentence(JSON.parse(text).error); } catch { /* no JSON: the status says it */ }
  throw new Error(problem);
}

/** What a response's Server-Timing header tells: the commit's outcome and the microseconds. */
function done(response) {
  const timing = response.headers.get("server-timing") ?? "";
  const took = (name) => timing.match(new RegExp(`${name};(?:desc="\\w+";)?dur=([\\d.]+)`))?.[1];
  const outcome = timing.match(/desc="(\w+)"/)?.[1];
  const loaded = took("load");
  const micros = Math.round((Number(loaded ?? 0) + Number(took("commit") ?? 0)) * 1000);
  if (!response.ok) return { did: `refused (${response.status})`, failed: true };
  const did = loaded !== undefined && outcome === "unchanged" ? "loaded, unchanged" : outcome ?? "done";
  return { did, micros };
}

function note(entry) {
  trace.unshift(entry);
  trace.length = Math.min(trace.length, TRACED);
}

/** Changes something, then reads everything anew; the change is shown as the last request. */
async function act(method, path, body) {
  let problem = null;
  main.ariaBusy = "true";
  try { await send(method, path, body); } catch (error) { problem = error; }
  await refresh(trace[0], problem);
  return problem === null;
}

/** Reads the session and its life. */
async function refresh(deed, problem = null) {
  main.ariaBusy = "true";
  [values, life, readable] = [{}, { stored: false }, false];
  try {
    values = JSON.parse(await send("GET", "/api/session"), exact);
    readable = true;
  } catch (error) {
    problem ??= error;
  }
  last = deed ?? trace[0];
  // Values that cannot be decoded still have a life, and can be parted with.
  try { life = JSON.parse(await send("GET", "/api/life")); } catch (error) { problem ??= error; }
  main.dataset.state = readable ? "ready" : "problem";
  main.ariaBusy = "false";
  render(problem);
}

/** Keeps a number that JavaScript would round or respell as it was written. */
function exact(_, value, context) {
  const source = context?.source;
  if (typeof value !== "number" || source === undefined || String(value) === source) return value;
  return JSON.rawJSON ? JSON.rawJSON(source) : value;
}

// What is typed

/** What typed text stands for: JSON if it is, else the text itself. */
function read(text) {
  const trimmed = text.trim();
  if (trimmed === "") return { kind: "" };
  try {
    return { json: trimmed, kind: kind(JSON.parse(trimmed)), valid: true };
  } catch {
    if (/^["{[]/.test(trimmed)) return { kind: "JSON that is not complete", valid: false };
    return { json: JSON.stringify(text), kind: "text", valid: true };
  }
}

function kind(value) {
  if (value === null) return "nothing: removes the key";
  if (JSON.isRawJSON?.(value)) return "number";
  if (Array.isArray(value)) return "list";
  return { string: "text", object: "object", boolean: "true or false" }[typeof value] ?? typeof value;
}

function hint(field, label) {
  const { kind, valid } = read(field.value);
  label.textContent = kind && `· ${kind}`;
  label.className = valid === false ? "wrong" : "";
  field.setCustomValidity(valid === false ? "Finish the JSON, or write plain text." : "");
}

const path = (key) => `/api/session/${encodeURIComponent(key)}`;

// The document

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function render(problem = null) {
  const keys = Object.keys(values);
  const user = typeof values.user === "string" ? values.user : null;
  $("who").textContent = user === null ? "" : `Signed in as ${user}`;
  $("sign-in").hidden = user !== null || !readable;
  $("count").textContent = keys.length === 0 ? "" : keys.length === 1 ? "1 value" : `${keys.length} values`;
  $("empty").hidden = keys.length > 0 || !readable;
  $("add").hidden = !readable;
  const draft = document.querySelector("#values textarea");
  $("values").replaceChildren(...keys.map((key) => make("li", { className: key === changed ? "fresh" : "" },
    key === editing ? editor(key, draft?.dataset.key === key ? draft.value : null) : row(key))));
  changed = null;
  document.querySelector("#values textarea")?.focus();
  $("problem").hidden = problem === null;
  $("problem-text").textContent = problem?.message ?? "";
  for (const id of ["renew", "reset", "sign-out"]) $(id).disabled = !life.stored;
  renderTrace();
  renderLife();
}

function row(key) {
  const value = values[key];
  const text = typeof value === "string" ? value : JSON.stringify(value, null, nested(value) ? 2 : 0);
  const edit = make("button", { type: "button", className: "quiet", ariaLabel: `Change ${key}` }, "Change");
  edit.onclick = () => { editing = key; render(); };
  const remove = make("button", { type: "button", className: "quiet risky", ariaLabel: `Remove ${key}` }, "Remove");
  remove.onclick = () => act("DELETE", path(key));
  return make("div", { className: "value" },
    make("div", { className: "key mono" }, key, make("span", { className: "kind" }, kind(value))),
    make("div", { className: "text mono" }, text),
    make("div", { className: "tools" }, edit, remove));
}

const nested = (value) => typeof value === "object" && JSON.stringify(value).length > 60;

function editor(key, draft) {
  const value = values[key];
  // Text that would be read as something else keeps its quotes.
  const plain = typeof value === "string" && read(value).json === JSON.stringify(value);
  const field = make("textarea", { className: "mono", value: draft ?? (plain ? value : JSON.stringify(value)), rows: 1, required: true, spellcheck: false });
  field.dataset.key = key;
  const label = make("em");
  field.oninput = () => hint(field, label);
  const close = () => { editing = null; render(); };
  const cancel = make("button", { type: "button", onclick: close }, "Cancel");
  const form = make("form", { className: "edit" },
    make("label", {}, make("span", {}, make("b", { className: "mono" }, key), " ", label), field),
    make("div", { className: "tools" }, make("button", { className: "primary" }, "Save"), cancel));
  form.onsubmit = (event) => { event.preventDefault(); editing = null; put(key, field); };
  form.onkeydown = (event) => {
    if (event.key === "Escape") close();
    if (event.key === "Enter" && !event.shiftKey) { event.preventDefault(); form.requestSubmit(); }
  };
  queueMicrotask(() => hint(field, label));
  return form;
}

function put(key, field) {
  changed = key;
  return act("PUT", path(key), read(field.value).json);
}

function renderTrace() {
  $("last").className = last.failed ? "last wrong" : "last";
  $("last-did").textContent = last.did;
  $("last-time").textContent = micros(last);
  $("last-what").textContent = `${last.method} ${decode(last.path)}`;
  $("trace").replaceChildren(...trace.map((entry) => make("li", {},
    make("code", {}, `${entry.method} ${decode(entry.path).replace("/api/", "")}`),
    make("span", {}, entry.did),
    make("span", { className: "time" }, micros(entry)))));
}

const decode = (path) => { try { return decodeURIComponent(path); } catch { return path; } };
const micros = ({ micros }) => micros === undefined ? "" : `${micros.toLocaleString("en")} µs`;

function renderLife() {
  for (const [id, time] of [["created", life.created_at], ["updated", life.updated_at]]) {
    $(id).textContent = time ? ago(new Date(time)) : "–";
    $(id).title = time ? new Date(time).toLocaleString() : "";
  }
  $("id").hidden = !life.stored;
  $("no-id").hidden = life.stored;
  $("size").textContent = life.stored ? `${life.size.toLocaleString("en")} bytes` : "no row";
}

function ago(time) {
  const seconds = Math.max(0, (Date.now() - time) / 1000);
  if (seconds < 5) return "just now";
  const units = [[60, "second", 1], [3600, "minute", 60], [86400, "hour", 3600], [Infinity, "day", 86400]];
  const [, unit, size] = units.find(([limit]) => seconds < limit);
  const count = Math.floor(seconds / size);
  return `${count} ${unit}${count === 1 ? "" : "s"} ago`;
}

function sentence(text) {
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");
}

// Forms and buttons

$("sign-in-form").onsubmit = async (event) => {
  event.preventDefault();
  if (await act("POST", "/api/login", JSON.stringify({ name: $("name").value }))) $("name").value = "";
};

$("add").onsubmit = async (event) => {
  event.preventDefault();
  const key = $("key").value;
  if (!await put(key, $("value"))) return;
  event.target.reset();
  hint($("value"), $("add-kind"));
  $("key").focus({ preventScroll: true });
};

$("value").oninput = () => hint($("value"), $("add-kind"));
$("renew").onclick = () => act("POST", "/api/renew");
$("sign-out").onclick = () => { editing = null; act("POST", "/api/logout"); };
$("retry").onclick = () => refresh();

/** The first click asks, the second one does it. */
$("reset").onclick = ({ target }) => {
  const disarm = () => { target.textContent = "Reset"; target.classList.remove("armed"); };
  if (target.classList.contains("armed")) {
    disarm();
    editing = null;
    act("POST", "/api/reset");
    return;
  }
  target.textContent = "Sure?";
  target.classList.add("armed");
  setTimeout(disarm, ARMED_MS);
};

// Another tab may have changed the session meanwhile; what is being edited stays.
document.onvisibilitychange = () => { if (!document.hidden && editing === null) refresh(); };
setInterval(renderLife, 5000);
refresh();
