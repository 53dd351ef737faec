// Brings in the service worker, where the browser has them (over https, and on the machine itself), when the page has all it needs.
export default function register(element) {
  if (!("serviceWorker" in navigator)) return;
  const begin = () => navigator.serviceWorker.register(element.dataset.worker).catch(() => {}); // somebody may have forbidden it
  if (document.readyState === "complete") begin();
  else addEventListener("load", begin);
}
