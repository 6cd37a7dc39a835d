// What pages do beyond plain HTML. Everything works without it; no eval, no inline anything.
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const format = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: "medium", timeStyle: "short", timeZone: zone });

// Times come in UTC, and are shown in the viewer's zone.
function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (!Number.isNaN(at.getTime())) {
      time.textContent = format.format(at);
      time.title = `${time.dateTime} UTC`;
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

// The first field that is wrong is where to go on.
document.querySelector("[aria-invalid=true]")?.focus();
document.addEventListener("htmx:afterSwap", (event) => localTimes(event.target.parentNode ?? document));
for (const button of document.querySelectorAll("button[data-copy]")) button.hidden = false;
localTimes(document);
