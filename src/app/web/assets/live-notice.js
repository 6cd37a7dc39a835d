// A message to the team: asked for in a dialog, and shown on the desks of everybody, or of a queue's agents.
const dialog = document.getElementById("ask-notice");
const root = document.getElementById("live");
const part = (name) => dialog.querySelector(`[data-part="${name}"]`);
const query = new URLSearchParams(root.dataset.query);
query.delete("topics");

async function send() {
  const [text, queue] = [part("text").value.trim(), part("to").value];
  const headers = { Accept: "application/json", "Content-Type": "application/json", "X-CSRF-Token": root.dataset.csrf };
  const body = JSON.stringify(queue ? { text, queue_id: queue } : { text });
  const answer = await fetch(`/v1/chat/notices?${query}`, { method: "POST", headers, body, signal: AbortSignal.timeout(15000) }).catch(() => null);
  const told = await answer?.json().catch(() => null);
  if (answer?.ok) return null;
  return told?.errors?.[0]?.detail ?? told?.detail ?? dialog.dataset.notSent;
}

document.getElementById("open-notice")?.addEventListener("click", () => {
  part("error").textContent = "";
  dialog.showModal();
  part("text").focus();
});
part("no").addEventListener("click", () => dialog.close());
dialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const yes = part("yes");
  if (yes.disabled) return;
  yes.disabled = true;
  const wrong = await send();
  yes.disabled = false;
  part("error").textContent = wrong ?? "";
  if (wrong) { part("text").focus(); return; }
  part("text").value = "";
  dialog.close();
  const said = document.getElementById("notice-said");
  said.textContent = dialog.dataset.sent;
  setTimeout(() => { said.textContent = ""; }, 8000);
});
