// Brings the page up to date every 20 seconds, or as often as the script's element says, while somebody looks at it and
// has the keyboard nowhere in it.
// Without scripts the page says the same and is loaded anew once a minute.
"use strict";
const every = Number(document.currentScript.dataset.every) || 20000;
async function renew() {
  const busy = document.activeElement && document.activeElement !== document.body;
  if (document.hidden || busy || String(window.getSelection())) return;
  try {
    const answer = await fetch(location.href, { credentials: "same-origin", redirect: "error" });
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of ["main", "header", "footer"]) {
      const there = document.querySelector("body > " + part), here = fresh.querySelector("body > " + part);
      if (there && here && there.innerHTML !== here.innerHTML) there.replaceChildren(...here.childNodes);
    }
    document.title = fresh.title;
  } catch (gone) {
    document.body.classList.add("stale");
    return;
  }
  document.body.classList.remove("stale");
}
setInterval(renew, every);
document.addEventListener("visibilitychange", () => { if (!document.hidden) renew(); });
