// Loads this page again when it may have gone stale, but never at the price of what is on it: only when the server answers, once at
// most, and not while a page is in the middle of something (it sets data-busy on <html> then).

let asked = false;

export default function fresh() {
  if (asked || document.documentElement.dataset.busy) return;
  asked = true;
  fetch(location.href, { method: "HEAD" }).then(() => location.reload(), () => { asked = false; });
}
