// Tells the server which photos were shown full screen, some at a time. Who shows one says "kinfold:shown" with the address of its page.
const PAUSE = 4000; // milliseconds that photos are gathered for

export default function seen(form) {
  if (!navigator.sendBeacon) return;
  let shown = new Set();

  function send() {
    if (!shown.size) return;
    const data = new FormData(form);
    for (const photo of shown) data.append("photo", photo);
    shown = new Set();
    navigator.sendBeacon(form.action, data);
  }

  document.addEventListener("kinfold:shown", (event) => {
    if (!shown.size) setTimeout(send, PAUSE);
    shown.add(event.detail.split(/[?#]/)[0].split("/").pop());
  });
  document.addEventListener("visibilitychange", () => { if (document.visibilityState === "hidden") send(); });
  addEventListener("pagehide", send);
}
