// What all modules of the phone need: its place in the page, its words, elements, and what it remembers on this computer.
export const root = document.getElementById("phone");
const words = JSON.parse(root.dataset.words);
const icons = root.dataset.icons;

// A text in the page's language. Values replace what stands in braces.
export function t(key, values = {}) {
  return Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, value), words[`softphone.${key}`] ?? key);
}

export function find(name) {
  return root.querySelector(`[data-part="${name}"]`);
}

// An element with attributes, listeners (`onclick`) and children. Text is never taken for HTML.
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `${icons}#${name}`);
  svg.append(use);
  return svg;
}

export function clock(seconds) {
  const two = (number) => String(number).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${two(minutes)}:${two(seconds % 60)}` : `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

// What is dialled: without the spaces and brackets that people write.
export function dialled(text) {
  let plain = text.replace(/^(tel|sip):/i, "");
  try {
    plain = decodeURIComponent(plain);
  } catch {
    // It is not in that code: it is what it says.
  }
  return plain.replace(/[\s()/]|(?<=\d)-(?=\d)/g, "");
}

// Requests to the API carry the page's session.
export async function ask(path, method = "GET", body = undefined, more = {}) {
  const headers = { Accept: "application/json", ...more };
  if (method !== "GET") headers["X-CSRF-Token"] = root.dataset.csrf;
  if (body !== undefined) headers["Content-Type"] = method === "PATCH" ? "application/merge-patch+json" : "application/json";
  return fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal: AbortSignal.timeout(15000) });
}

// Whether single letters are shortcuts, which assets/app.js knows.
export function hasSingleKeys() {
  return !document.documentElement.classList.contains("no-single-keys");
}

// Choices of devices and volumes, on this computer only.
const place = "dialplane-phone";
export const kept = { volume: 1, ring_volume: 0.6, via: {}, ...read(() => localStorage) };
export function keep() {
  write(() => localStorage, kept);
}

// What this tab needs after a reload.
export const here = { online: false, ...read(() => sessionStorage) };
export function keepHere() {
  write(() => sessionStorage, here);
}

// A browser may refuse storage, already when it is named. Then choices last until the page is closed.
function read(storage) {
  try {
    return JSON.parse(storage().getItem(place)) ?? {};
  } catch {
    return {};
  }
}

function write(storage, value) {
  try {
    storage().setItem(place, JSON.stringify(value));
  } catch {
    // Refused or full.
  }
}
