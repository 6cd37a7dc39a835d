// A row of a list at a glance: a panel at the side, with what the row's own small page says. Without this, the link opens the thing itself.

// Shown after a while only: what comes at once would flicker.
const PATIENCE = 150;

function skeleton(said) {
  const lines = document.createElement("div");
  lines.className = "skeleton";
  lines.setAttribute("role", "status");
  const text = document.createElement("span");
  text.className = "hidden";
  text.id = "look-title";
  text.textContent = said;
  lines.append(text, ...Array.from({ length: 6 }, () => document.createElement("i")));
  return lines;
}

export function looks(localTimes) {
  const panel = document.getElementById("look");
  if (!panel) return;
  const place = panel.querySelector("[data-part=facts]");
  let asked = null;

  async function look(link) {
    asked?.abort();
    const mine = asked = new AbortController();
    place.replaceChildren();
    panel.setAttribute("aria-busy", "true");
    panel.showModal();
    const waits = setTimeout(() => place.replaceChildren(skeleton(panel.dataset.wait)), PATIENCE);
    try {
      const answer = await fetch(link.dataset.look, { signal: mine.signal });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const facts = answer.ok && page.getElementById("look-facts");
      // Gone, or signed out meanwhile: its page says so.
      if (!facts) throw new Error(String(answer.status));
      clearTimeout(waits);
      place.replaceChildren(document.importNode(facts, true));
      localTimes(place);
    } catch {
      if (!mine.signal.aborted) window.location.assign(link.href);
    } finally {
      clearTimeout(waits);
      if (asked === mine) panel.removeAttribute("aria-busy");
    }
  }

  panel.addEventListener("close", () => { asked?.abort(); });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    const link = event.target.closest("a[data-look]");
    // A click anywhere in the row looks, too, unless it meant something that is there, or marked a text.
    const row = event.target.closest("a, button, input, label, select, summary, details, form.tools") ? null : event.target.closest("tr");
    const meant = link ?? (String(getSelection()) ? null : row?.querySelector("a[data-look]"));
    if (!meant) return;
    event.preventDefault();
    look(meant);
  });
}
