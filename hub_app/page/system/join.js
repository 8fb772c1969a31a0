// Dialog that adds a node: makes the line for a new machine and follows the machine until it is online.
import { replaceContent, setText } from "../live/elements.js";
import { urlOf } from "../live/paths.js";
import { hubNow } from "../live/stream.js";
import { duration } from "../live/values.js";
import { request, send } from "../commands/post.js";
import { copyText } from "./clipboard.js";

const POLL_MS = 2000;
const OPEN = new Set(["waiting", "installing"]);
const WORDS = {
  waiting: "waits for the machine",
  installing: "the machine installs the program",
  joined: "joined; waiting for its first message",
  online: "joined, and online",
  expired: "the code has expired",
};

const leftOf = ({ expires_ms: end }) => `${duration(Math.max(0, end - hubNow()) / 1000)} left`;

function linkTo(node) {
  const link = document.createElement("a");
  link.href = urlOf(`/node/${encodeURIComponent(node)}`);
  link.textContent = node;
  return link;
}

function rowOf(join) {
  const row = document.createElement("li");
  const text = document.createElement("span");
  text.append(
    join.state === "online" ? linkTo(join.node) : join.node,
    `: ${WORDS[join.state]}${OPEN.has(join.state) ? `, ${leftOf(join)}` : ""}`,
  );
  row.append(text);
  if (OPEN.has(join.state)) {
    const button = document.createElement("button");
    button.dataset.revoke = join.node;
    button.textContent = "Revoke";
    button.setAttribute("aria-label", `Revoke the code for ${join.node}`);
    row.append(button);
  }
  return row;
}

async function fetchJoins() {
  const answer = await fetch(urlOf("/api/join-codes"));
  return answer.ok ? (await answer.json()).joins : [];
}

// Shows the joins of the last hour in the panel, and the one of the dialog in the dialog.
async function refresh() {
  const panel = document.getElementById("joins");
  if (!panel) return;
  let joins = [];
  try {
    joins = await fetchJoins();
  } catch {
    return; // The hub does not answer; the header says so.
  }
  replaceContent(panel.querySelector("ul"), joins.map(rowOf));
  const dialog = document.getElementById("join-dialog");
  const current = joins.find(({ node }) => node === dialog.dataset.node);
  if (dialog.open && dialog.dataset.node) showState(dialog, current);
}

function showState(dialog, join) {
  const isOpen = Boolean(join) && OPEN.has(join.state);
  const state = dialog.querySelector(".join-state");
  if (join?.state === "online") replaceContent(state, [linkTo(join.node), ` is ${WORDS.online}.`]);
  else setText(state, join ? `${join.node}: ${WORDS[join.state]}` : "the code was revoked");
  state.dataset.state = join?.state ?? "expired";
  setText(dialog.querySelector(".left"), isOpen ? `${leftOf(join)}; the code is good for one machine.` : "");
  dialog.querySelector(".revoke").hidden = !isOpen;
}

// The numbers of an input, or none.
const numbersIn = (text) => (text.match(/\d+/g) ?? []).map(Number);

function wishOf(form) {
  const { node, area, replace, dht22, leds, buzzer, fan } = form.elements;
  const attached = { dht22: numbersIn(dht22.value), leds: Number(leds.value) };
  for (const [name, { value }] of Object.entries({ buzzer, fan })) if (value !== "") attached[name] = Number(value);
  return { node: node.value.trim(), area: area.value.trim(), replace: replace.checked, attached };
}

async function makeLine(dialog, form) {
  const refused = dialog.querySelector(".refused");
  setText(refused, "");
  const made = await request("POST", "/api/join-codes", wishOf(form));
  // What follows is for programs: the body that was expected.
  if (!made.ok) setText(refused, made.error.split("; expected {")[0]);
  else showLine(dialog, form, made);
}

function showLine(dialog, form, { node, line }) {
  dialog.dataset.node = node;
  form.hidden = true;
  dialog.querySelector(".join-line").hidden = false;
  setText(dialog.querySelector(".joining"), `Add ${node}`);
  setText(dialog.querySelector(".line"), line);
  setText(dialog.querySelector(".copied"), "");
  setText(dialog.querySelector(".join-state"), "");
  dialog.querySelector(".copy").focus();
  refresh();
}

function open(dialog) {
  const form = dialog.querySelector("form");
  form.reset();
  form.hidden = false;
  dialog.querySelector(".join-line").hidden = true;
  // The line holds the code: it is shown once.
  setText(dialog.querySelector(".line"), "");
  setText(dialog.querySelector(".refused"), "");
  delete dialog.dataset.node;
  dialog.showModal();
}

async function revoke(node) {
  const error = await send("DELETE", `/api/join-codes/${encodeURIComponent(node)}`);
  if (error) alert(`${node}: ${error}`);
  refresh();
}

async function copyLine(dialog) {
  const isCopied = await copyText(dialog.querySelector(".line"));
  setText(dialog.querySelector(".copied"), isCopied ? "copied" : "select the line and copy it");
}

// Makes button, dialog and panel work, where the visitor is an operator.
export function startJoining() {
  const dialog = document.getElementById("join-dialog");
  const panel = document.getElementById("joins");
  // Browsers before 2022 have no dialogs; `harvester join-code` does the same.
  if (!dialog?.showModal || !panel) return;
  panel.hidden = false;
  panel.addEventListener("click", ({ target }) => {
    if (target.closest(".add-node")) open(dialog);
    const node = target.closest("[data-revoke]")?.dataset.revoke;
    if (node) revoke(node);
  });
  dialog.querySelector("form").addEventListener("submit", (event) => {
    if (event.submitter?.value === "cancel") return;
    event.preventDefault();
    makeLine(dialog, event.target);
  });
  dialog.querySelector(".copy").addEventListener("click", () => copyLine(dialog));
  dialog.querySelector(".close").addEventListener("click", () => dialog.close());
  dialog.querySelector(".revoke").addEventListener("click", () => revoke(dialog.dataset.node));
  refresh();
  setInterval(refresh, POLL_MS);
}
