// What was chosen on this page and is sent, a few files at a time, in the order in which they were taken; it goes on for as long as it
// takes. Each is {file, mark, name, size, state, sent, reason, id, progress, canRetry}: `sent` is in bytes, `progress` how much of a film is
// prepared, in percent; state is one of queued, sending, retrying, received, ready, duplicate, refused.
import canBeRead from "../readable.js";
import { send } from "./sending.js";

const AT_ONCE = 3; // keeps the line busy while the server answers for one of them
const LONGEST_PAUSE = 30000; // milliseconds
const BEGINNINGS = 3; // of a file that the server has forgotten again and again
const TOLD = ["disk-full", "unreachable", "busy"]; // what the server is short of, and there is a sentence for
const UNSENT = ["queued", "sending", "retrying"];

export default class Queue {
  files = [];
  paused = false;
  trouble = ""; // the name of the sentence that says what is wrong
  pace = new Pace();
  #form;
  #changed;
  #working = 0;
  #stop = new AbortController();

  constructor({ form, changed }) {
    this.#form = form;
    this.#changed = changed;
  }

  get unsent() {
    return this.files.filter((file) => UNSENT.includes(file.state)).length;
  }

  count(...states) {
    return this.files.filter((file) => states.includes(file.state)).length;
  }

  // How many bytes there are, and how many of them have gone out; what is refused before it is sent is in neither.
  get bytes() {
    const real = this.files.filter((file) => file.state !== "refused" || file.sent);
    return { all: sum(real, "size"), sent: sum(real, "sent") };
  }

  add(chosen) {
    const limit = Number(this.#form.dataset.fileLimit);
    for (const file of Array.from(chosen).sort(byTheRoll)) {
      const reason = file.size > limit ? "too-large" : file.size === 0 ? "empty" : "";
      const mark = crypto.getRandomValues(new Uint32Array(4)).join("-");
      this.files.push({ file, mark, name: file.name, size: file.size, state: reason ? "refused" : "queued", sent: 0, reason });
    }
    this.#start();
  }

  // What was on its way to becoming a photo and is none any more.
  forget(file) {
    this.files = this.files.filter((each) => each !== file);
  }

  // Have a file tried once more that was refused, and that the server still has.
  async retry(file) {
    const address = this.#form.dataset.retry.replace("PHOTO", file.id);
    for (let tries = 0; tries < 2; tries++) {
      const headers = { Accept: "application/json", "X-CSRFToken": this.#form.elements.csrf_token.value };
      const answer = await fetch(address, { method: "POST", headers, redirect: "manual" }).catch(() => null);
      if (answer?.type === "opaqueredirect") Object.assign(file, { state: "received", reason: "", canRetry: false });
      if (file.state === "received" || !answer || !(await this.#renewToken())) break;
    }
    this.#changed();
  }

  pause() {
    this.paused = true;
    this.#stop.abort();
    this.#changed();
  }

  goOn() {
    this.paused = false;
    this.#stop = new AbortController();
    this.pace = new Pace();
    this.#start();
  }

  #start() {
    for (let free = AT_ONCE - this.#working; free > 0; free--) this.#work();
    this.#changed();
  }

  async #work() {
    this.#working++;
    let next;
    while (!this.paused && this.trouble !== "reload" && (next = this.files.find((file) => file.state === "queued"))) {
      await this.#sendUntilAnswered(next);
      this.#changed();
    }
    this.#working--;
    this.#changed();
  }

  async #sendUntilAnswered(file) {
    const { signal } = this.#stop;
    let wait = 1000;
    let renewed = false;
    let beginnings = 1;
    for (;;) {
      const before = file.sent;
      file.state = "sending";
      const { status, body, photo, anew } = await this.#attempt(file, signal);
      if (signal.aborted && !photo) return (file.state = "queued");
      if (status && this.trouble !== "reload") this.trouble = "";
      if (photo) return settle(file, photo);
      if (anew) {
        if (beginnings++ === BEGINNINGS) return settle(file, { state: "refused", reason: "not-sent" });
        file.sent = 0;
        continue;
      }
      const expired = body.error === "form-expired" && !renewed;
      if (expired) {
        renewed = await this.#renewToken();
        if (renewed) continue;
      }
      if (status === 413) return settle(file, { state: "refused", reason: body.error || "too-large" });
      if (status >= 400 && status < 500 && !(expired && renewed === null) && ![408, 409, 423, 429, 460].includes(status)) {
        this.trouble = "reload"; // somebody signed out, or the album is gone
        return (file.state = "queued");
      }
      if (status === 0 && !(await canBeRead(file.file))) return settle(file, { state: "refused", reason: "unreadable" });
      file.state = "retrying"; // the server or the way to it: that passes
      this.pace = new Pace();
      if (status === 0) this.trouble = "offline";
      if (TOLD.includes(body.error)) this.trouble = `reason-${body.error}`;
      this.#changed();
      if (file.sent > before) [wait, renewed] = [1000, false];
      await rested(wait, signal);
      wait = Math.min(2 * wait, LONGEST_PAUSE);
    }
  }

  // The form's token is good for some hours, and sending may take longer: the page as it would come now has another. Null when it could
  // not be asked for just now.
  async #renewToken() {
    const answer = await fetch(location.href).catch(() => null);
    if (!answer || answer.status >= 500) return null;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("[name=csrf_token]")?.value;
    if (!answer.ok || !fresh) return false;
    this.#form.elements.csrf_token.value = fresh;
    return true;
  }

  #attempt(file, signal) {
    let last = null;
    return send(file.file, {
      album: this.#form.dataset.album,
      endpoint: new URL(this.#form.dataset.uploads, location.href).href,
      token: this.#form.elements.csrf_token.value,
      mark: file.mark,
      signal,
      onProgress: (sent) => {
        if (last !== null) this.pace.add(sent - last); // the first word is how much was there already
        last = file.sent = sent;
        this.#changed();
      },
    });
  }
}

function byTheRoll(one, other) {
  return one.lastModified - other.lastModified || one.name.localeCompare(other.name, undefined, { numeric: true });
}

function settle(file, photo) {
  file.file = null; // let go of the bytes
  file.id = photo.id;
  file.sent = photo.id ? file.size : 0;
  file.state = photo.duplicate && photo.state !== "refused" ? "duplicate" : photo.state;
  file.reason = photo.reason;
}

// A pause that ends early when the line is back or nobody waits for it any more.
function rested(wait, signal) {
  const over = new AbortController();
  return new Promise((resolve) => {
    setTimeout(resolve, wait);
    addEventListener("online", resolve, { signal: over.signal });
    signal.addEventListener("abort", resolve, { signal: over.signal });
  }).finally(() => over.abort());
}

function sum(files, fact) {
  return files.reduce((total, file) => total + file[fact], 0);
}

// How fast the line has been lately.
class Pace {
  #went = []; // [when, bytes]

  add(bytes) {
    this.#went.push([performance.now(), bytes]);
    while (this.#went.length > 2 && this.#went[0][0] < performance.now() - 30000) this.#went.shift();
  }

  // Seconds that so many bytes will take; null as long as nobody can tell.
  secondsFor(bytes) {
    const span = this.#went.length ? (performance.now() - this.#went[0][0]) / 1000 : 0;
    const rate = this.#went.reduce((total, [, size]) => total + size, 0) / span;
    return span > 4 && rate > 0 ? bytes / rate : null;
  }
}
