// Sends photos: one file a request, two at a time, and goes on by itself after a lost connection. Shows what becomes of each
// until it is ready. What is true stands on the server; this only watches it, so a reload loses nothing that has arrived.

const AT_ONCE = 2;
const ROWS = 8; // files named on the page; of the others only the number is told
const ASK_EVERY = 1500; // milliseconds
const LONGEST_PAUSE = 30000;

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export default function upload(form) {
  const input = form.querySelector('input[type="file"]');
  const board = document.getElementById("progress");
  const part = (name) => board.querySelector(`[data-part="${name}"]`);
  // What was chosen here: {file, name, state, share, reason, id}; share is how much of it is sent, from 0 to 1, and state is
  // one of queued, sending, retrying, received, ready, duplicate, refused.
  const files = [];
  let standing = { ready: 0, waiting: Number(board.dataset.waiting) }; // what the server said last
  let sending = 0;
  let asking = false;
  let trouble = "";
  let lock = null;

  const unsent = () => files.filter((file) => ["queued", "sending", "retrying"].includes(file.state)).length;
  // What has just arrived here may be newer than what the server said last.
  const preparing = () => standing.waiting || files.some((file) => file.state === "received");

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
  addEventListener("beforeunload", (event) => {
    if (unsent() && trouble !== "reload") event.preventDefault();
  });
  document.addEventListener("visibilitychange", keepAwake);

  function add(chosen) {
    const limit = Number(form.dataset.fileLimit);
    for (const file of chosen) {
      const reason = file.size > limit ? "too-large" : file.size === 0 ? "empty" : "";
      files.push({ file, name: file.name, state: reason ? "refused" : "queued", share: 0, reason });
    }
    drawNow();
    part("total").scrollIntoView({ block: "center" });
    for (let i = sending; i < AT_ONCE; i++) sendAll();
    keepAwake();
  }

  // ---- sending ----

  async function sendAll() {
    sending++;
    let next;
    while (trouble !== "reload" && (next = files.find((file) => file.state === "queued"))) {
      await sendUntilAnswered(next);
      watch();
    }
    sending--;
    keepAwake();
    draw();
  }

  async function sendUntilAnswered(file) {
    for (let wait = 1000; ; wait = Math.min(2 * wait, LONGEST_PAUSE)) {
      file.state = "sending";
      file.share = 0;
      draw();
      const { status, body } = await send(file);
      if (trouble !== "reload") trouble = "";
      if (status === 202) return settle(file, body.photos[0]);
      if (status === 413) return settle(file, { state: "refused", reason: body.error || "too-large" });
      if (status >= 400 && status < 500 && status !== 408 && status !== 429) {
        trouble = "reload"; // the form's token is too old, or somebody signed out
        file.state = "queued";
        return draw();
      }
      file.state = "retrying"; // the server or the way to it: that passes
      if (status === 0) trouble = "offline";
      if (has("reason-" + body.error)) trouble = "reason-" + body.error;
      draw();
      await Promise.race([pause(wait), new Promise((resolve) => addEventListener("online", resolve, { once: true }))]);
    }
  }

  function send(file) {
    return new Promise((resolve) => {
      const data = new FormData();
      const token = form.elements.csrf_token.value;
      data.append("csrf_token", token);
      data.append("files", file.file, file.name);
      const request = new XMLHttpRequest();
      request.open("POST", form.action);
      request.setRequestHeader("Accept", "application/json");
      request.setRequestHeader("X-CSRFToken", token);
      request.upload.onprogress = (event) => {
        file.share = event.loaded / event.total;
        draw();
      };
      request.onloadend = () => {
        let body = {};
        try {
          body = JSON.parse(request.responseText);
        } catch { /* a page for people: its status says enough */ }
        resolve({ status: request.status, body });
      };
      request.send(data);
    });
  }

  function settle(file, photo) {
    file.file = null; // let go of the bytes
    file.id = photo.id;
    file.state = photo.duplicate ? "duplicate" : photo.state;
    file.reason = photo.reason;
    draw();
  }

  // ---- watching ----

  async function watch() {
    if (asking) return;
    asking = true;
    do {
      await pause(document.hidden ? 5 * ASK_EVERY : ASK_EVERY);
      await ask();
    } while (preparing() || unsent());
    asking = false;
    finish();
  }

  async function ask() {
    const received = files.filter((file) => file.state === "received");
    try {
      const answer = await fetch(form.dataset.status, { headers: { Accept: "application/json" } });
      if (answer.status === 404) trouble = "reload";
      if (!answer.ok) return;
      standing = await answer.json();
      const known = new Map(standing.photos.map((photo) => [photo.id, photo]));
      for (const file of received) {
        const photo = known.get(file.id) || { state: "ready" }; // what is ready need not be listed
        file.state = photo.state;
        file.reason = photo.reason;
        file.progress = photo.progress;
      }
      draw();
    } catch { /* no connection: the next question may get through */ }
  }

  // When everything is ready: put the photos on the page where nobody is reading it, else offer them.
  function finish() {
    draw();
    if (unsent() || preparing()) return;
    part("done").hidden = false;
    if (scrollY < 200) showNew();
  }

  async function showNew() {
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ["about", "photos"]) {
      const fresh = page.getElementById(id);
      document.getElementById(id).replaceWith(fresh);
      fresh.dispatchEvent(new CustomEvent("kinfold:new", { bubbles: true }));
    }
    part("done").hidden = true;
  }

  // ---- showing ----

  const words = document.getElementById("upload-words").content;

  const has = (name) => words.querySelector(`[data-word="${name}"]`);

  function say(name, facts = {}) {
    const found = has(name) || has("reason-failed");
    return found.textContent.trim().replace(/\{(\w+)\}/g, (whole, fact) => facts[fact] ?? whole);
  }

  function listOfKinds(kinds) {
    const said = kinds.map((kind) => say("kind-" + kind));
    const last = said.pop();
    return said.length ? `${said.join(", ")} ${say("and")} ${last}` : last;
  }

  function write(element, text) {
    if (element.textContent !== text) element.textContent = text; // screen readers hear only what changes
    element.hidden = !text;
  }

  let planned = 0;
  function draw() {
    document.documentElement.dataset.busy = unsent() ? "y" : ""; // see fresh.js
    planned = planned || setTimeout(() => {
      planned = 0;
      drawNow();
    }, 150);
  }

  function drawNow() {
    const total = files.length;
    const count = (...states) => files.filter((file) => states.includes(file.state)).length;
    const sent = total - unsent();
    const ready = total ? count("ready", "duplicate") : standing.ready;
    const everything = total || standing.ready + standing.waiting;
    board.hidden = !(total || standing.waiting || part("refused"));

    const bar = board.querySelector("progress");
    const underway = files.reduce((sum, file) => sum + (file.state === "sending" ? file.share : 0), 0);
    bar.hidden = !total && !standing.waiting;
    bar.max = 2 * everything || 1; // half for sending, half for preparing
    bar.value = (total ? sent + underway : everything) + ready + count("refused");

    const facts = { sent, ready, total: everything };
    let sentence = "";
    if (trouble) sentence = say(trouble);
    else if (unsent()) sentence = say("sending", facts);
    else if (preparing()) sentence = say("preparing", facts);
    else if (everything) sentence = say("finished", facts);
    write(part("total"), sentence);

    const order = ["refused", "sending", "retrying", "duplicate", "received", "queued"];
    const named = files.filter((file) => file.state !== "ready");
    named.sort((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
    drawRows(named.slice(0, ROWS));
    write(part("more"), named.length > ROWS ? say("more", { count: named.length - ROWS }) : "");
    if (standing.removed?.length) write(part("removed"), say("removed", { kinds: listOfKinds(standing.removed) }));
  }

  function drawRows(shown) {
    const list = part("files");
    while (list.children.length > shown.length) list.lastChild.remove();
    while (list.children.length < shown.length) {
      const row = document.createElement("li");
      row.append(document.createElement("bdi"), document.createElement("span"));
      list.append(row);
    }
    shown.forEach((file, i) => {
      const [name, state] = list.children[i].children;
      list.children[i].dataset.state = file.state;
      name.textContent = file.name;
      state.textContent =
        file.state === "refused"
          ? say("reason-" + file.reason)
          : say(file.progress && file.state === "received" ? "file-preparing" : "file-" + file.state, {
              share: Math.round(100 * file.share),
              progress: file.progress,
            });
    });
  }

  async function keepAwake() {
    if (!("wakeLock" in navigator)) return;
    if (unsent() && !lock && !document.hidden) {
      lock = await navigator.wakeLock.request("screen").catch(() => null);
      if (lock) lock.addEventListener("release", () => { lock = null; });
    } else if (!unsent() && lock) {
      await lock.release();
    }
  }

  if (standing.waiting) watch();
}
