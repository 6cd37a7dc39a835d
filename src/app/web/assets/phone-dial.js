// The field to dial: completes with colleagues and contacts.
import { ask, dialled, el, find, t } from "./phone-base.js";

const MOST = 8;
let colleagues = [];
let hits = [];
let chosen = -1;
let turn = 0;

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

function show(found) {
  hits = found;
  chosen = -1;
  list.replaceChildren(...found.map((one, at) => el("li", {
    role: "option", id: `phone-hit-${at}`, "aria-selected": "false",
    onmousedown: (event) => { event.preventDefault(); pick(at); },
  }, el("span", {}, one.name || one.number), el("span", { class: "quiet" }, [one.more, one.number, one.state && t(`presence.${one.state}`)].filter(Boolean).join(" · ")))));
  list.hidden = found.length === 0;
  field.setAttribute("aria-expanded", String(found.length > 0));
  field.removeAttribute("aria-activedescendant");
}

function mark(at) {
  chosen = (at + hits.length) % hits.length;
  [...list.children].forEach((item, index) => item.setAttribute("aria-selected", String(index === chosen)));
  field.setAttribute("aria-activedescendant", `phone-hit-${chosen}`);
  list.children[chosen].scrollIntoView({ block: "nearest" });
}

function pick(at) {
  field.value = hits[at].number;
  show([]);
  field.focus();
}

// What stands in the field; a name that only one fits is that number.
export function wanted() {
  const text = field.value.trim();
  if (/^[\d+*#\s()/.-]+$/.test(text)) return dialled(text);
  if (hits.length) return dialled(hits[Math.max(chosen, 0)].number);
  return dialled(text);
}

export function openDial(dial) {
  field.addEventListener("input", complete);
  field.addEventListener("blur", () => show([]));
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" && hits.length) { event.preventDefault(); mark(chosen + 1); }
    if (event.key === "ArrowUp" && hits.length) { event.preventDefault(); mark(chosen - 1); }
    if (event.key === "Escape") show([]);
    if (event.key === "Enter") {
      event.preventDefault();
      if (chosen >= 0) pick(chosen);
      dial();
    }
  });
}

export function clearDial(text = "") {
  turn += 1;
  field.value = text;
  show([]);
}
