// The field to dial: completes with colleagues and contacts.
import { ask, dialled, el, find, t } from "./phone-base.js";
import { say } from "./phone-show.js";

const MOST = 8;
// Contacts that take longer are not waited for, in milliseconds.
const PATIENCE = 3000;
let colleagues = [];
let hits = [];
let chosen = -1;
let turn = 0;
// Ends when everything that fits has been looked up.
let looking = Promise.resolve();

const field = find("number");
const list = find("hits");

export async function readColleagues() {
  const answer = await ask("/app/phone/colleagues").catch(() => null);
  if (answer?.ok) colleagues = await answer.json();
  return colleagues;
}

export function nameOf(number) {
  return colleagues.find((one) => one.number === number)?.name ?? null;
}

function fits(one, words) {
  const text = `${one.name} ${one.number}`.toLowerCase();
  return words.every((word) => text.includes(word));
}

async function complete() {
  const text = field.value.trim();
  turn += 1;
  const mine = turn;
  chosen = -1;
  if (!text) return show([]);
  const words = text.toLowerCase().split(/\s+/);
  const found = colleagues.filter((one) => fits(one, words)).slice(0, MOST);
  show(found);
  if (text.length < 2) return;
  await new Promise((done) => { setTimeout(done, 150); });
  if (mine !== turn) return;
  const answer = await ask(`/v1/contacts?search=${encodeURIComponent(text)}&limit=${MOST}`).catch(() => null);
  if (!answer?.ok || mine !== turn) return;
  const { items } = await answer.json();
  const contacts = items.flatMap((one) => (one.numbers ?? []).map((number) => ({ name: one.name, number, more: one.company })));
  show([...found, ...contacts].slice(0, MOST));
}

// Somebody may be a colleague and a contact with the same number.
function show(found) {
  const was = hits[chosen]?.number;
  hits = found.filter((one, at) => found.findIndex((other) => dialled(other.number) === dialled(one.number)) === at);
  chosen = hits.findIndex((one) => one.number === was);
  list.replaceChildren(...hits.map((one, at) => el("li", {
    role: "option", id: `phone-hit-${at}`, "aria-selected": "false",
    onmousedown: (event) => { event.preventDefault(); pick(at); },
  }, el("span", {}, one.name || one.number), el("span", { class: "quiet" }, [one.more, one.number, one.state && t(`presence.${one.state}`)].filter(Boolean).join(" · ")))));
  // Whoever has gone to a button meanwhile does not need it.
  open(hits.length > 0 && document.activeElement === field);
  if (chosen >= 0 && !list.hidden) mark(chosen);
}

// The list is seen or not; what fits stays as it is.
function open(isOpen) {
  list.hidden = !isOpen;
  field.setAttribute("aria-expanded", String(isOpen));
  if (!isOpen || chosen < 0) field.removeAttribute("aria-activedescendant");
}

function mark(at) {
  open(true);
  chosen = (at + hits.length) % hits.length;
  [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === chosen)));
  field.setAttribute("aria-activedescendant", `phone-hit-${chosen}`);
  list.children[chosen].scrollIntoView({ block: "nearest" });
}

function pick(at) {
  field.value = hits[at].number;
  chosen = -1;
  show([]);
  field.focus();
}

// Whom the field means: a number, somebody who was chosen, or the only one whom a name fits. `null`: nobody, or it is not clear, which is said.
export async function wanted() {
  const text = field.value.trim();
  if (!text) return null;
  if (/^[\d+*#\s()/.-]+$/.test(text.replace(/^(tel|sip):/i, ""))) return dialled(text);
  if (chosen < 0) await Promise.race([looking, new Promise((done) => { setTimeout(done, PATIENCE); })]);
  if (field.value.trim() !== text) return null;
  if (chosen >= 0) return dialled(hits[chosen].number);
  if (hits.length === 1) return dialled(hits[0].number);
  open(hits.length > 0);
  say(t(hits.length ? "which_one" : "nobody_named", { name: text }), true);
  return null;
}

export function openDial(dial) {
  field.addEventListener("input", () => { looking = complete(); });
  // A click on a button takes the focus, and means what was typed.
  field.addEventListener("blur", () => open(false));
  field.addEventListener("focus", () => open(hits.length > 0));
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && hits.length) { event.preventDefault(); mark(chosen + 1); }
    if (event.key === "ArrowUp" && hits.length) { event.preventDefault(); mark(chosen - 1); }
    if (event.key === "Escape") { chosen = -1; open(false); }
    if (event.key === "Enter") {
      event.preventDefault();
      if (chosen >= 0) pick(chosen);
      dial();
    }
  });
}

export function clearDial(text = "") {
  turn += 1;
  looking = Promise.resolve();
  field.value = text;
  chosen = -1;
  show([]);
}
