// A guest's own photos: each file in a request of its own, one after the other, so that what has arrived is safe whatever comes after it. One
// that was on its way when the connection was lost is sent again when it is back; the same photo twice is one.
import { refresh } from "./inplace.js";

const TRIES = 30;
const PAUSE = 4000; // milliseconds before it is tried again
const OFFLINE = 60000; // the same for a phone that says that it has no connection, until it says that it has one
const SILENCE = 60000; // milliseconds without a byte or an answer, after which a connection is as good as lost

export default function adding(form) {
  const input = form.querySelector('input[type="file"]');
  const words = document.getElementById("adding-words").content;
  const list = document.createElement("ul");
  const status = document.createElement("p");
  status.setAttribute("role", "status");
  list.className = "said";
  form.append(list, status);

  function word(name, values) {
    const found = words.querySelector('[data-word="' + name + '"]');
    return found ? found.textContent.replace(/\{(\w+)\}/g, (_, key) => values[key]) : "";
  }

  function add(file) {
    const line = document.createElement("li");
    line.dir = "auto";
    list.append(line);
    const say = (name, values) => { line.textContent = word(name, Object.assign({ name: file.name }, values)); };
    const refused = (reason) => say("refused", { reason: word("reason-" + reason) || word("reason-failed") });
    if (file.size === 0) return refused("empty");
    if (file.size > Number(form.dataset.fileLimit)) return refused("too-large");
    return attempt(file, say, refused, TRIES);
  }

  function attempt(file, say, refused, tries) {
    return new Promise((resolve) => {
      const body = new FormData();
      const guest = form.querySelector('[name="guest"]:checked');
      body.append("csrf_token", form.querySelector('[name="csrf_token"]').value);
      if (guest) body.append("guest", guest.value);
      body.append("files", file, file.name);
      const request = new XMLHttpRequest();
      request.open("POST", form.action);
      request.setRequestHeader("Accept", "application/json");
      const again = () => resolve(tries ? pause().then(() => attempt(file, say, refused, tries - 1)) : refused("failed"));
      let silence;
      const listen = () => {
        clearTimeout(silence);
        silence = setTimeout(() => request.abort(), SILENCE);
      };
      request.upload.onprogress = (event) => {
        listen();
        status.textContent = "";
        say("sending", { share: Math.floor((100 * event.loaded) / event.total) });
      };
      request.onloadend = () => clearTimeout(silence);
      request.onerror = request.onabort = () => {
        status.textContent = word("offline");
        again();
      };
      request.onload = () => {
        const told = answer(request);
        if (request.status === 202 && told.photos) {
          const reason = told.photos[0].reason;
          resolve(reason ? refused(reason) : say("received"));
        } else if (request.status === 503 && tries) {
          again();
        } else {
          resolve(refused(told.error || "failed"));
        }
      };
      say("sending", { share: 0 });
      listen();
      request.send(body);
    });
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.dataset.sent) return;
    const files = Array.from(input.files);
    form.dataset.sent = "yes";
    document.documentElement.dataset.busy = "y"; // see fresh.js
    status.textContent = "";
    files.reduce((before, file) => before.then(() => add(file)), Promise.resolve()).then(() => {
      delete form.dataset.sent;
      document.documentElement.dataset.busy = "";
      input.value = "";
      status.textContent = word("done");
      return refresh("yours");
    });
  });
}

function pause() {
  return new Promise((resolve) => {
    addEventListener("online", resolve, { once: true });
    setTimeout(resolve, navigator.onLine === false ? OFFLINE : PAUSE);
  });
}

function answer(request) {
  try {
    return JSON.parse(request.responseText) || {};
  } catch (error) {
    return {}; // a page for people: its status says enough
  }
}
