// Puts what a button's field holds onto the clipboard; where the browser does not allow that, it is marked for a hand.
"use strict";
for (const button of document.querySelectorAll("button[data-copies]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const field = document.getElementById(button.dataset.copies);
    field.focus();
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = "Copied";
    } catch (refused) {
      button.textContent = "Marked; copy it by hand";
    }
  });
}
