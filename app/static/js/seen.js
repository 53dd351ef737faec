// Tells the server which photos of this album were shown full screen, some at a time. Whoever shows one says so with the address of its
// page. Members' pages have no form for it, and tell nobody.
const PAUSE = 4000; // milliseconds that photos are gathered for

const form = document.querySelector("form[data-seen]");
let shown = new Set();

function send() {
  if (!shown.size) return;
  const data = new FormData(form);
  for (const photo of shown) data.append("photo", photo);
  shown = new Set();
  navigator.sendBeacon(form.action, data);
}

export default function seen(href) {
  if (!form || !navigator.sendBeacon) return;
  if (!shown.size) setTimeout(send, PAUSE);
  shown.add(href.split(/[?#]/)[0].split("/").pop());
}

document.addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") send(); });
addEventListener("pagehide", send);
