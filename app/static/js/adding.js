// A guest's own photos: each file in a request of its own, one after the other, so that what has arrived is safe whatever comes after it. One
// that was on its way when the connection was lost is sent again when it is back; the same photo twice is one.
import { refresh } from "./inplace.js";
import canBeRead from "./readable.js";

const TRIES = 7; // of one file by a phone that has a connection
const PAUSE = 4000; // milliseconds before the second; each further one comes twice as late,
const LONGEST_PAUSE = 30000; // but not later than this
const OFFLINE = 60000; // how long a phone that says that it has no connection waits to say that it has one
const SILENCE = 60000; // milliseconds without a byte of ours being taken, after which a connection is as good as lost
const ANSWER = 600000; // the same for the answer after the last byte
const AWAY = [502, 503, 504]; // a server that is busy, or starts anew
const FINAL = ["empty", "too-large", "no-room-for-guest"]; // what comes of it whenever it is sent

export default function adding(form) {
  const input = form.querySelector('input[type="file"]');
  const button = form.querySelector('button[type="submit"]');
  const words = document.getElementById("adding-words").content;
  const list = document.createElement("ul");
  const status = document.createElement("p");
  const lines = new Map(); // file -> where its news stands
  status.setAttribute("role", "status");
  list.className = "said";
  form.append(list, status);

  // What was chosen is listed, each file where its own news will stand.
  input.addEventListener("change", () => {
    status.textContent = "";
    list.textContent = "";
    for (const file of Array.from(input.files)) lineOf(file);
  });

  function lineOf(file) {
    const line = document.createElement("li");
    line.dir = "auto";
    line.textContent = file.name;
    list.append(line);
    lines.set(file, line);
    return line;
  }

  function word(name, values) {
    const found = words.querySelector('[data-word="' + name + '"]');
    return found ? found.textContent.replace(/\{(\w+)\}/g, (_, key) => values[key]) : "";
  }

  // Resolves to whether it need not be sent again: it has arrived, or will never be taken.
  async function add(file) {
    const line = lines.get(file) || lineOf(file);
    const say = (name, values) => { line.textContent = word(name, Object.assign({ name: file.name }, values)); };
    const refuse = (reason) => say("refused", { reason: word("reason-" + reason) || word("reason-failed") });
    if (file.size === 0) refuse("empty");
    else if (file.size > Number(form.dataset.fileLimit)) refuse("too-large");
    else {
      const { received, reason } = await untilTaken(file, say);
      if (received) say("received");
      else refuse(reason);
      return received || FINAL.includes(reason);
    }
    return true;
  }

  async function untilTaken(file, say) {
    for (let tried = 1; ; tried += 1) {
      const told = await send(file, say);
      status.textContent = "";
      if (!told.lost) return told;
      if (!(await canBeRead(file))) return { reason: "unreadable" };
      const offline = navigator.onLine === false;
      if (offline) tried -= 1;
      else if (tried === TRIES) return { reason: "not-sent" };
      status.textContent = word("offline");
      await connection(offline ? OFFLINE : Math.min(LONGEST_PAUSE, PAUSE * 2 ** (tried - 1)));
    }
  }

  // Resolves to `received`, to the `reason` why it is not, or to `lost` when it may be tried again.
  function send(file, say) {
    const body = new FormData();
    const guest = form.querySelector('[name="guest"]:checked');
    body.append("csrf_token", form.querySelector('[name="csrf_token"]').value);
    if (guest) body.append("guest", guest.value);
    body.append("files", file, file.name);
    const request = new XMLHttpRequest();
    let silence;
    const wait = (time) => {
      clearTimeout(silence);
      silence = setTimeout(() => request.abort(), time);
    };
    return new Promise((resolve) => {
      request.open("POST", form.action);
      request.setRequestHeader("Accept", "application/json");
      request.upload.onprogress = (event) => {
        wait(SILENCE);
        say("sending", { share: Math.floor((100 * event.loaded) / event.total) });
      };
      request.upload.onload = () => wait(ANSWER);
      request.onerror = request.onabort = () => resolve({ lost: true });
      request.onload = () => {
        const told = answer(request);
        const taken = request.status === 202 && told.photos;
        if (AWAY.includes(request.status)) resolve({ lost: true });
        else resolve(taken ? { received: !told.photos[0].reason, reason: told.photos[0].reason } : { reason: told.error });
      };
      request.onloadend = () => clearTimeout(silence);
      say("sending", { share: 0 });
      wait(SILENCE);
      request.send(body);
    });
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (form.dataset.sent) return;
    form.dataset.sent = "yes";
    document.documentElement.dataset.busy = "y"; // see fresh.js
    let all = true;
    input.disabled = true; // others are chosen when these are through
    for (const file of Array.from(input.files)) all = (await add(file)) && all;
    input.disabled = false;
    delete form.dataset.sent;
    document.documentElement.dataset.busy = "";
    if (all) { // else the choice stays, to be sent once more
      if (document.activeElement === button) input.focus({ preventScroll: true }); // the button goes
      input.value = "";
      status.textContent = word("done");
    }
    refresh("yours").catch(() => {});
  });
}

// Resolves when a phone says that it has a connection again, or after so many milliseconds.
function connection(time) {
  return new Promise((resolve) => {
    addEventListener("online", resolve, { once: true });
    setTimeout(resolve, time);
  });
}

function answer(request) {
  try {
    return JSON.parse(request.responseText) || {};
  } catch (error) {
    return {}; // a page for people: its status says enough
  }
}
