// Offers to be told of new photos, where the browser can do that: it needs the service worker.
function bytes(text) {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

export default function push(box) {
  if (!("serviceWorker" in navigator) || !("PushManager" in window)) return;
  const form = box.querySelector("form");
  navigator.serviceWorker.ready.then((worker) => {
    box.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      (box.dataset.on ? end(worker) : begin(worker)).then(() => form.submit(), () => {
        delete form.dataset.sent;
        form.querySelector('[data-part="no"]').hidden = false;
      });
    });
  });

  function begin(worker) {
    const wanted = { userVisibleOnly: true, applicationServerKey: bytes(box.dataset.key) };
    return worker.pushManager.subscribe(wanted).then((subscription) => {
      const told = subscription.toJSON();
      form.elements.endpoint.value = told.endpoint;
      form.elements.p256dh.value = told.keys.p256dh;
      form.elements.auth.value = told.keys.auth;
    });
  }

  function end(worker) {
    return worker.pushManager.getSubscription().then((subscription) => subscription && subscription.unsubscribe());
  }
}
