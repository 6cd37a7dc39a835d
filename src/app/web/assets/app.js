// What pages do beyond plain HTML. Everything works without it; no eval, no inline anything.
import { callNumbers } from "./dial.js";
import { looks } from "./look.js";

const root = document.documentElement;
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const format = new Intl.DateTimeFormat(root.lang, { dateStyle: "medium", timeStyle: "short", timeZone: zone });
const exact = new Intl.DateTimeFormat(root.lang, { dateStyle: "full", timeStyle: "long", timeZone: zone });
const clock = new Intl.DateTimeFormat(root.lang, { timeStyle: "medium", timeZone: zone });
const relative = new Intl.RelativeTimeFormat(root.lang, { numeric: "auto" });
root.classList.add("js");
callNumbers();

// How long ago it was, if that is less than a week; else the day and the time.
function since(at) {
  const seconds = (at.getTime() - Date.now()) / 1000;
  const past = Math.abs(seconds);
  if (past < 45) return relative.format(0, "second");
  if (past < 3600) return relative.format(Math.round(seconds / 60), "minute");
  if (past < 86400) return relative.format(Math.round(seconds / 3600), "hour");
  if (past < 7 * 86400) return relative.format(Math.round(seconds / 86400), "day");
  return format.format(at);
}

// Times come in UTC, and are shown in the viewer's zone, with the exact time on hover.
function localTimes(part) {
  for (const time of part.querySelectorAll("time[datetime]:not(.tick)")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      // Within one call, the seconds count.
      time.textContent = "clock" in time.dataset ? clock.format(at) : since(at);
      time.title = exact.format(at);
    }
  }
}

// Buttons that copy what they name.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("button[data-copy]");
  if (!button) return;
  const source = document.getElementById(button.dataset.copy);
  if (!source) return;
  try {
    await navigator.clipboard.writeText(source.textContent);
    const label = button.textContent;
    button.textContent = button.dataset.done;
    setTimeout(() => { button.textContent = label; }, 1500);
  } catch {
    getSelection().selectAllChildren(source);
  }
});

// Only one menu is open, and a click elsewhere closes it.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});

// A list's boxes: all of them, and how many.
function count(list) {
  const boxes = [...list.querySelectorAll("input[name=pick]")];
  const picked = boxes.filter((box) => box.checked).length;
  const told = list.querySelector("[data-count]");
  for (const all of list.querySelectorAll("[data-all]")) {
    all.checked = picked > 0 && picked === boxes.length;
    all.indeterminate = picked > 0 && picked < boxes.length;
  }
  if (told) told.textContent = picked ? `${picked} ${told.dataset.text}` : "";
}
document.addEventListener("change", (event) => {
  const list = event.target.closest("#list");
  if (list) {
    if (event.target.matches("[data-all]")) {
      for (const box of list.querySelectorAll("input[name=pick]")) box.checked = event.target.checked;
    }
    count(list);
  }
  // Another choice has other fields.
  if (event.target.matches("select[data-reload]")) {
    event.target.form.requestSubmit(event.target.parentNode.querySelector("button[value=refresh]"));
  }
});

// The search over everything, and the one over tenants: a field, and what was found below it.
const palette = document.getElementById("palette");
const switcher = document.getElementById("switcher");
function search(dialog) {
  if (!dialog || dialog.open) return;
  dialog.showModal();
  const field = dialog.querySelector("input");
  field.select();
  if (window.htmx) window.htmx.trigger(field, "search");
}
function hits(dialog) {
  return [...dialog.querySelectorAll(".hits a, .hits button")];
}
function step(dialog, by) {
  const all = hits(dialog);
  if (!all.length) return;
  const at = all.indexOf(document.activeElement) + by;
  (all[at] ?? (at < 0 ? dialog.querySelector("input") : all[all.length - 1])).focus();
}
for (const dialog of document.querySelectorAll("dialog.seeks")) {
  dialog.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") { event.preventDefault(); step(dialog, 1); }
    if (event.key === "ArrowUp") { event.preventDefault(); step(dialog, -1); }
    if (event.key === "Enter" && event.target.matches("input[type=search]")) {
      // In a tenant, the first entry of the switcher leads out of it: who searched means what was found.
      const first = hits(dialog).find((hit) => !event.target.value || hit.getAttribute("href") !== "/leave");
      if (first) { event.preventDefault(); first.click(); }
    }
  });
}
for (const dialog of document.querySelectorAll("dialog")) {
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
}
document.querySelector("[data-palette]")?.addEventListener("click", (event) => { event.preventDefault(); search(palette); });
// On the page that is this choice, its own field is the search.
const chooses = document.querySelector("main #tenants-found") ? null : document.querySelector("[data-switcher]");
chooses?.addEventListener("click", (event) => { event.preventDefault(); search(switcher); });

// Shortcuts of one letter can be switched off on this computer: a stray key, or a word to speech input, would do something.
const SINGLE_KEYS = "dialplane-single-keys";
function singleKeys(areOn) {
  root.classList.toggle("no-single-keys", !areOn);
  for (const box of document.querySelectorAll("[data-single-keys]")) box.checked = areOn;
  document.dispatchEvent(new Event("single-keys"));
}
function keptSingleKeys() {
  try {
    return localStorage.getItem(SINGLE_KEYS) !== "off";
  } catch {
    return true;
  }
}
singleKeys(keptSingleKeys());
document.addEventListener("change", ({ target }) => {
  if (!target.matches("[data-single-keys]")) return;
  try {
    localStorage.setItem(SINGLE_KEYS, target.checked ? "on" : "off");
  } catch {
    // Without storage, it lasts until the page is left.
  }
  singleKeys(target.checked);
});
addEventListener("storage", ({ key }) => { if (key === SINGLE_KEYS) singleKeys(keptSingleKeys()); });

// A form is sent once: a second click waits for the answer to the first. If none comes, one may try again.
const sent = new Map();
function sendable(form) {
  for (const button of sent.get(form) ?? []) button.disabled = false;
  sent.delete(form);
}
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (sent.has(form)) {
    event.preventDefault();
    return;
  }
  const buttons = [...form.querySelectorAll("button:not([type=button]):not(:disabled)")];
  sent.set(form, buttons);
  // Not before the browser has read the form: a disabled button would not be sent.
  setTimeout(() => { for (const button of buttons) button.disabled = true; });
  setTimeout(sendable, 10000, form);
});
// Who comes back to a page that the browser has kept may send its forms anew.
addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  for (const form of document.forms) {
    sendable(form);
    const once = form.elements.namedItem("once");
    if (once) once.value = crypto.randomUUID?.() ?? String(Math.random());
  }
});

// Shortcuts, while nobody types.
const shortcuts = document.getElementById("shortcuts");
const help = document.querySelector("[data-shortcuts]");
if (help) {
  help.hidden = false;
  help.addEventListener("click", () => shortcuts.showModal());
}
let before = "";
document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k" && palette) {
    event.preventDefault();
    search(palette);
    return;
  }
  if (event.key === "Escape") {
    for (const menu of document.querySelectorAll("details.menu[open]")) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
  }
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select, dialog")) return;
  if (root.classList.contains("no-single-keys")) return;
  if (event.key === "?" && shortcuts) shortcuts.showModal();
  if (event.key === "/") {
    const field = document.getElementById("q");
    if (field) { event.preventDefault(); field.focus(); }
  }
  if (event.key === "n") document.querySelector("[data-add]")?.click();
  if (event.key === "h" && before === "g") window.location.assign("/");
  const leads = event.key === "t" && before === "g" && document.querySelector("[data-switcher]");
  if (leads) {
    // The letter itself is not what is searched for.
    event.preventDefault();
    leads.click();
  }
  before = event.key;
});

// The first field that is wrong is where to go on.
document.querySelector("[aria-invalid=true]")?.focus();
document.addEventListener("htmx:afterSwap", (event) => localTimes(event.target.parentNode ?? document));
for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
localTimes(document);
looks(localTimes);
// Who can't see that a list loads is told so.
for (const [name, isBusy] of [["htmx:beforeRequest", "true"], ["htmx:afterRequest", "false"]]) {
  document.addEventListener(name, ({ detail }) => detail.target?.setAttribute("aria-busy", isBusy));
}
// The entry of the navigation that one is at can be seen, however long the navigation is.
document.querySelector(".side [aria-current]")?.scrollIntoView({ block: "nearest" });

// Days in filters begin where the viewer is, so the server is told their zone.
document.cookie = `dialplane_zone=${encodeURIComponent(zone)}; path=/; max-age=31536000; samesite=lax`;
for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
