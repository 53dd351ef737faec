// Adding photos: what is chosen goes into the queue, the board shows what becomes of it. What is true stands on the server, so a
// reload loses nothing that has arrived.
import Board from "./upload/board.js";
import Queue from "./upload/queue.js";
import Watch from "./upload/watch.js";

export default function upload(form) {
  const input = form.querySelector('input[type="file"]');
  const board = new Board(document.getElementById("progress"), document.getElementById("upload-words").content);
  const queue = new Queue({ form, changed });
  const watch = new Watch({ address: form.dataset.status, board: board.element, queue, changed });
  let lock = null; // the promise of one

  function changed() {
    document.documentElement.dataset.busy = queue.unsent ? "y" : ""; // see fresh.js
    board.draw(queue, watch);
    keepAwake();
    if (watch.preparing || queue.unsent) watch.start();
  }

  function add(chosen) {
    queue.add(chosen);
    board.showNow(queue, watch);
  }

  // ---- choosing ----

  for (const link of document.querySelectorAll('a[href="#add-photos"]')) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      event.stopImmediatePropagation(); // instead of the dialog that is there without us
      input.click();
    }, true);
  }
  input.addEventListener("change", () => {
    add(input.files);
    input.value = "";
  });
  addEventListener("dragover", (event) => {
    if (!event.dataTransfer.types.includes("Files")) return;
    event.preventDefault();
    document.body.classList.add("drop-here");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) document.body.classList.remove("drop-here");
  });
  addEventListener("drop", (event) => {
    document.body.classList.remove("drop-here");
    if (!event.dataTransfer.files.length) return;
    event.preventDefault();
    add(event.dataTransfer.files);
  });
  board.onPause(() => (queue.paused ? queue.goOn() : queue.pause()));
  board.onRetry((file) => queue.retry(file));

  // ---- staying ----

  addEventListener("beforeunload", (event) => {
    if (queue.unsent && queue.trouble !== "reload") event.preventDefault();
  });
  document.addEventListener("visibilitychange", keepAwake);

  async function keepAwake() {
    const wanted = queue.unsent > 0 && !queue.paused && !document.hidden;
    if (!("wakeLock" in navigator) || wanted === Boolean(lock)) return;
    const old = lock;
    const mine = wanted ? navigator.wakeLock.request("screen").catch(() => null) : null;
    lock = mine;
    (await old)?.release();
    (await mine)?.addEventListener("release", () => { if (lock === mine) lock = null; });
  }

  if (watch.preparing) watch.start(); // the page as it came says the rest
}
