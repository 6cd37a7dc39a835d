// The queues that the visitor serves: who waits, since when, and how the day has been.
import { clock, el, find, t } from "./phone-base.js";

const percent = new Intl.NumberFormat(document.documentElement.lang, { style: "percent", maximumFractionDigits: 0 });
const queues = new Map();

function sinceOf(queue) {
  return queue.waiting.map((one) => one.since).sort()[0] ?? null;
}

function line(queue) {
  const free = queue.agents.filter((one) => one.state === "available").length;
  const { today } = queue;
  const level = today && (today.service_level === null ? t("queues.no_calls") : t("queues.level", { percent: percent.format(today.service_level) }));
  return el("li", { "data-queue": queue.queue_id },
    el("div", {}, el("b", {}, queue.name ?? "–"), el("p", { class: "quiet" }, [t("queues.free", { count: free }), level].filter(Boolean).join(" · "))),
    el("div", { class: `waits${queue.waiting.length ? " some" : ""}` }, el("b", {}, String(queue.waiting.length)), el("span", { class: "quiet" }, t("queues.waiting")),
      queue.waiting.length > 0 && el("span", { class: "mono", "data-longest": sinceOf(queue) })));
}

function show() {
  const sorted = [...queues.values()].sort((one, other) => (one.name ?? "").localeCompare(other.name ?? ""));
  find("queues").replaceChildren(...sorted.map(line));
  find("queues-part").hidden = sorted.length === 0;
  showWaits();
}

export function showWaits() {
  for (const place of find("queues").querySelectorAll("[data-longest]")) {
    place.textContent = clock(Math.max(0, Math.floor((Date.now() - Date.parse(place.dataset.longest)) / 1000)));
  }
}

export function takeQueues(all) {
  queues.clear();
  for (const queue of all) queues.set(queue.queue_id, queue);
  show();
}

export function takeQueue(queue) {
  queues.set(queue.queue_id, queue);
  show();
}
