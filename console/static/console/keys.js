// Work without the mouse. Pages mark what keys may reach:
//   tr[data-href]            a row: j/k move, Enter opens, o takes and opens
//   [data-key="a"]           a link or button that the key presses
//   dialog[id] + [data-dialog="id"]   a decision that asks before it is sent
//   [data-copy="selector"]   a button that copies what stands there
//   [data-leave="address"]   what the page shows is shown once; the address is what stays
(() => {
  const rows = () => [...document.querySelectorAll("tr[data-href], #result_list tbody tr")];
  const at = () => document.querySelector("tr.at");
  // Between a dialog's closing and the next frame drawn, the focus is still in its hidden field: nobody types there.
  const typing = (node) =>
    node.closest && !node.closest("dialog:not([open])") && node.closest("input, select, textarea, [contenteditable]");

  function move(step) {
    const list = rows();
    if (!list.length) return;
    const now = list.indexOf(at());
    const next = list[Math.min(list.length - 1, Math.max(0, now < 0 ? 0 : now + step))];
    if (at()) at().classList.remove("at");
    next.classList.add("at");
    next.scrollIntoView({ block: "nearest" });
  }

  function open(row) {
    const link = row.dataset.href || row.querySelector("th a, td a")?.href;
    if (link) location.assign(link);
  }

  function ask(id) {
    const dialog = document.getElementById(id);
    if (!dialog || dialog.open) return;
    dialog.showModal();
    dialog.querySelector("select, textarea, button.main")?.focus();
  }

  document.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-dialog]");
    if (opener) { event.preventDefault(); ask(opener.dataset.dialog); return; }
    if (event.target.closest("[data-close]")) { event.target.closest("dialog").close(); return; }
    const row = event.target.closest("tr[data-href]");
    if (row && !event.target.closest("a, button, input, label, select")) open(row);
  });

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
    if (event.key === "Escape" && typing(event.target) && !event.target.closest("dialog")) { event.target.blur(); return; }
    if (typing(event.target) || document.querySelector("dialog[open]")) return;
    const key = event.key;
    if (key === "j" || key === "ArrowDown") { if (rows().length) { event.preventDefault(); move(1); } return; }
    if (key === "k" || key === "ArrowUp") { if (rows().length) { event.preventDefault(); move(-1); } return; }
    if (key === "Enter" && at() && !event.target.closest("a, button")) { event.preventDefault(); open(at()); return; }
    if (key === "/") { event.preventDefault(); (document.querySelector("[data-search]") || {}).focus?.(); return; }
    if (key === "?") { event.preventDefault(); ask("keys"); return; }
    if (key === " " && at()) {
      const box = at().querySelector("input[type=checkbox]");
      if (box) { event.preventDefault(); box.click(); }
      return;
    }
    const target = document.querySelector(`[data-key="${CSS.escape(key)}"]`);
    if (target) { event.preventDefault(); target.click(); }
  });

  // A page that tells something only once: loading it again opens another.
  const leave = document.querySelector("[data-leave]");
  if (leave) history.replaceState(null, "", leave.dataset.leave);

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const source = document.querySelector(button.dataset.copy);
    getSelection().selectAllChildren(source);  // where the clipboard is closed to us, one presses Ctrl+C
    try { await navigator.clipboard.writeText(source.textContent.trim()); } catch { if (!document.execCommand("copy")) return; }
    button.textContent = button.dataset.done;
  });

  // One decision, one click: the second is not sent.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    setTimeout(() => { delete form.dataset.sent; }, 8000);
  });

  // Tick all; show how many are ticked.
  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-all]")) {
      document.querySelectorAll("input[name=number]:not(:disabled)").forEach((box) => { box.checked = event.target.checked; });
    }
    const count = document.querySelector("[data-ticked]");
    if (count) count.textContent = document.querySelectorAll("input[name=number]:checked").length;
  });

  // A list's filters are applied when chosen; a form that changes something waits for its button.
  const form = document.querySelector("form.filters:not([method=post])");
  if (form) form.addEventListener("change", (event) => { if (event.target.matches("select")) form.requestSubmit(); });
})();
