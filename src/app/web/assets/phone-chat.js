// Messages with colleagues, and notices to the team. Texts are shown as text: nothing in them is taken for HTML.
import { ask, el, find, icon, root, t } from "./phone-base.js";
import { readColleagues } from "./phone-dial.js";
import { say } from "./phone-show.js";

const me = root.dataset.user;
const MOST = 8;
const LOOK_EVERY = 30000;
const lang = document.documentElement.lang;
const hour = new Intl.DateTimeFormat(lang, { timeStyle: "short" });
const day = new Intl.DateTimeFormat(lang, { dateStyle: "short", timeStyle: "short" });
let people = [];
let presence = new Map();
// Whom the visitor writes with, and what they wrote, the oldest first.
let open = null;

async function read(path) {
  const answer = await ask(path).catch(() => null);
  return answer?.ok ? answer.json() : null;
}

function when(at) {
  const time = new Date(at);
  return (time.toDateString() === new Date().toDateString() ? hour : day).format(time);
}

const nameOf = (id) => people.find((one) => one.user_id === id)?.name ?? t("unknown");

// The list: whoever wrote last comes first; whom the field names are found among all.
function fitting() {
  const words = find("chat-find").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  const sorted = [...people].sort((one, other) => (other.last_at ?? "").localeCompare(one.last_at ?? "") || one.name.localeCompare(other.name, lang));
  const found = words.length ? sorted.filter((one) => words.every((word) => one.name.toLowerCase().includes(word))) : sorted.filter((one) => one.last_at);
  return { found: found.slice(0, MOST), isSought: words.length > 0 };
}

function lamp(id) {
  const state = presence.get(id);
  return [el("span", { class: `dot ${state ?? ""}`, "aria-hidden": "true" }), state && el("span", { class: "hidden" }, t(`presence.${state}`))];
}

function showPeople() {
  const unread = people.reduce((sum, one) => sum + one.unread, 0);
  const badge = find("chat-unread");
  badge.hidden = unread === 0;
  badge.textContent = t("chat.unread", { count: unread });
  const { found, isSought } = fitting();
  const focused = document.activeElement?.closest?.('[data-part="chat-people"] button')?.dataset.person;
  find("chat-people").replaceChildren(...found.map((one) => el("li", {},
    el("button", { type: "button", "data-person": one.user_id, onclick: () => openWith(one.user_id) }, lamp(one.user_id),
      el("span", { class: "chat-who" }, el("b", {}, one.name), one.last_text && el("span", { class: "quiet" }, one.last_text)),
      one.unread > 0 && el("span", { class: "badge" }, t("chat.unread", { count: one.unread }))))));
  if (focused) find("chat-people").querySelector(`[data-person="${focused}"]`)?.focus();
  const none = find("chat-none");
  none.hidden = found.length > 0;
  none.textContent = t(isSought ? "chat.nobody" : "chat.none");
}

export async function readPeople() {
  const [found, colleagues] = await Promise.all([read("/v1/chat/people?limit=500"), readColleagues()]);
  const rank = ["talking", "ringing", "idle", "offline"];
  presence = new Map();
  for (const one of colleagues) {
    const known = presence.get(one.user_id);
    // Of somebody with several phones, the one that is used says how they are.
    if (one.user_id && one.state && (!known || rank.indexOf(one.state) < rank.indexOf(known))) presence.set(one.user_id, one.state);
  }
  if (found) people = found.items;
  showPeople();
}

function line(message) {
  const isOwn = message.from === me;
  return el("div", { class: isOwn ? "own" : "", "data-message": message.id },
    el("p", { class: "chat-text" }, el("span", { class: "hidden" }, `${isOwn ? t("chat.me") : message.from_name}: `), message.text),
    el("p", { class: "quiet" }, [when(message.sent_at), isOwn && message.read_at && t("chat.seen")].filter(Boolean).join(" · ")));
}

function showMessages() {
  const place = find("chat-log");
  const isAtEnd = place.scrollHeight - place.scrollTop - place.clientHeight < 40;
  place.replaceChildren(...open.messages.map(line));
  find("chat-earlier").hidden = !open.next;
  if (isAtEnd) place.scrollTop = place.scrollHeight;
}

// A text of one's own is there before the stream tells of it, and may come twice.
function put(message) {
  if (open.messages.some((one) => one.id === message.id)) return;
  open.messages.push(message);
  open.messages.sort((one, other) => one.sent_at.localeCompare(other.sent_at));
  showMessages();
}

async function openWith(id) {
  open = { id, messages: [], next: null };
  const mine = open;
  find("chat-list").hidden = true;
  find("chat-one").hidden = false;
  find("chat-name").replaceChildren(...lamp(id).filter(Boolean), nameOf(id));
  find("chat-log").setAttribute("aria-label", t("chat.with", { name: nameOf(id) }));
  find("chat-label").textContent = t("chat.write", { name: nameOf(id) });
  find("chat-text").value = "";
  find("chat-error").textContent = "";
  showMessages();
  find("chat-text").focus();
  await readMessages(mine);
  seen(id);
}

async function readMessages(mine) {
  const page = await read(`/v1/chat/messages?with=${mine.id}&limit=50${mine.next ? `&cursor=${encodeURIComponent(mine.next)}` : ""}`);
  if (!page || mine !== open) return;
  mine.next = page.next_cursor ?? null;
  const known = new Set(mine.messages.map((one) => one.id));
  mine.messages = [...page.items.filter((one) => !known.has(one.id)).reverse(), ...mine.messages];
  mine.messages.sort((one, other) => one.sent_at.localeCompare(other.sent_at));
  showMessages();
}

function close() {
  const id = open?.id;
  open = null;
  find("chat-one").hidden = true;
  find("chat-list").hidden = false;
  readPeople().then(() => (find("chat-people").querySelector(`[data-person="${id}"]`) ?? find("chat-find")).focus());
}

async function seen(id) {
  const person = people.find((one) => one.user_id === id);
  if (person) person.unread = 0;
  showPeople();
  await ask(`/v1/chat/people/${id}/seen`, "POST").catch(() => null);
}

async function send() {
  const field = find("chat-text");
  const text = field.value.trim();
  const mine = open;
  if (!text || !mine || find("chat-send").disabled) return;
  find("chat-send").disabled = true;
  const answer = await ask("/v1/chat/messages", "POST", { to: mine.id, text }).catch(() => null);
  find("chat-send").disabled = false;
  const told = await answer?.json().catch(() => null);
  if (answer?.ok) {
    field.value = "";
    find("chat-error").textContent = "";
    if (mine === open) put(told);
    find("chat-log").scrollTop = find("chat-log").scrollHeight;
  } else {
    find("chat-error").textContent = told?.errors?.[0]?.detail ?? told?.detail ?? t("chat.not_sent");
  }
  field.focus();
}

// Notices stay until they are closed, on this computer.
const CLOSED = "dialplane-notices";
function closed() {
  try {
    return JSON.parse(localStorage.getItem(CLOSED)) ?? [];
  } catch {
    return [];
  }
}

function closeNotice(id, item) {
  item.remove();
  find("notices").hidden = !find("notices").querySelector("[data-notice]");
  try {
    localStorage.setItem(CLOSED, JSON.stringify([...closed(), id].slice(-100)));
  } catch {
    // Refused or full: it comes back with the page.
  }
}

function showNotice(notice) {
  const place = find("notices");
  if (closed().includes(notice.id) || place.querySelector(`[data-notice="${notice.id}"]`)) return;
  const item = el("div", { class: "notice team", "data-notice": notice.id }, icon("megaphone"),
    el("div", {}, el("p", { class: "chat-text" }, notice.text), el("p", { class: "quiet" }, t("notice.from", { name: notice.from_name, time: when(notice.sent_at) }))),
    el("button", { type: "button", class: "icon-button", "aria-label": t("notice.close"), onclick: () => closeNotice(notice.id, item) }, icon("x")));
  place.hidden = false;
  place.prepend(item);
}

async function readNotices() {
  const found = await read("/v1/chat/notices");
  for (const notice of (found?.items ?? []).reverse()) showNotice(notice);
}

// What the stream tells.
export function takeMessage(message) {
  if (message.is_notice) return showNotice(message);
  const other = message.from === me ? message.to : message.from;
  const person = people.find((one) => one.user_id === other);
  if (person) Object.assign(person, { last_at: message.sent_at, last_text: message.text.slice(0, 120) });
  if (open?.id === other) {
    put({ ...message, read_at: null });
    if (message.from !== me && !document.hidden) return seen(other);
  }
  if (message.from !== me) {
    if (person) person.unread += 1;
    say(t("chat.from", { name: message.from_name }));
    if (document.hidden && window.Notification?.permission === "granted") new Notification(message.from_name, { body: message.text.slice(0, 200), tag: `dialplane-chat-${other}` });
  }
  if (person) showPeople();
  else readPeople();
}

// What was written while nobody listened.
export function takeMessages() {
  readPeople();
  readNotices();
  if (open) readMessages({ ...open, next: null }).then(() => {});
}

export function openChat() {
  find("chat-find").addEventListener("input", showPeople);
  find("chat-back").addEventListener("click", close);
  find("chat-earlier").addEventListener("click", () => open && readMessages(open));
  find("chat-send").addEventListener("click", send);
  find("chat-text").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      send();
    }
    if (event.key === "Escape") close();
  });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && open) seen(open.id); });
  setInterval(() => { if (!document.hidden) readPeople(); }, LOOK_EVERY);
}
