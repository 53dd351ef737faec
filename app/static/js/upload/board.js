// The board: how far everything is, in words. The sentence that screen readers say by themselves changes only when there is news; figures
// and names stand beside it, for whoever looks.

const ROWS = 8; // files named on the page; of the others only the number is told. Every file that could not be used is named.
const ORDER = ["refused", "sending", "retrying", "duplicate", "received", "queued"];

export default class Board {
  element;
  #words;
  #planned = 0;
  #retry;

  constructor(element, words) {
    this.element = element;
    this.#words = words;
  }

  onPause(toggle) {
    this.#part("pause").addEventListener("click", toggle);
  }

  onRetry(retry) {
    this.#retry = retry;
  }

  draw(queue, watch) {
    this.#planned = this.#planned || setTimeout(() => {
      this.#planned = 0;
      this.#draw(queue, watch);
    }, 150);
  }

  showNow(queue, watch) {
    this.#draw(queue, watch);
    this.#part("total").scrollIntoView({ block: "center" });
  }

  #draw(queue, watch) {
    const { standing } = watch;
    const total = queue.files.length || standing.ready + standing.waiting;
    const ready = queue.files.length ? queue.count("ready", "duplicate") : standing.ready;
    const facts = { total, ready, sent: queue.files.length - queue.unsent, refused: queue.count("refused") };
    this.element.hidden = !(queue.files.length || standing.waiting || this.#part("refused"));

    const { all, sent } = queue.bytes;
    const bar = this.element.querySelector("progress");
    bar.hidden = !queue.files.length && !standing.waiting;
    bar.max = 2 * total || 1; // half for sending, half for preparing
    bar.value = total * (all ? sent / all : 1) + ready + facts.refused;

    const pause = this.#part("pause");
    pause.hidden = !queue.unsent || queue.trouble === "reload";
    this.#write(pause, this.#say(queue.paused ? "go-on" : "pause"));

    this.#write(this.#part("total"), this.#sentence(queue, watch, facts));
    this.#write(this.#part("figures"), this.#figures(queue, watch, facts, all - sent));
    this.#drawRows(queue, standing);
    if (standing.removed?.length) this.#write(this.#part("removed"), this.#say("removed", { kinds: this.#listOfKinds(standing.removed) }));
  }

  #sentence(queue, watch, facts) {
    if (queue.trouble) return this.#say(queue.trouble);
    if (queue.unsent) return this.#say(queue.paused ? "paused" : "sending");
    if (watch.preparing) return this.#say("preparing");
    if (!facts.total) return "";
    return this.#say("finished", facts) + (facts.refused ? ` ${this.#say("finished-refused", facts)}` : "");
  }

  #figures(queue, watch, facts, bytesLeft) {
    if (!queue.unsent) return watch.preparing ? this.#say("figures-preparing", facts) : "";
    const seconds = queue.paused || queue.trouble ? null : queue.pace.secondsFor(bytesLeft);
    return this.#say("figures-sending", facts) + (seconds === null ? "" : ` ${this.#timeLeft(seconds)}`);
  }

  #timeLeft(seconds) {
    const minutes = Math.round(seconds / 60);
    if (seconds < 45) return this.#say("left-seconds");
    if (minutes <= 1) return this.#say("left-minute");
    if (minutes < 55) return this.#say("left-minutes", { count: minutes <= 10 ? minutes : 5 * Math.round(minutes / 5) });
    const hours = Math.round(minutes / 60);
    return hours <= 1 ? this.#say("left-hour") : this.#say("left-hours", { count: hours });
  }

  #drawRows(queue, standing) {
    const mine = new Set(queue.files.map((file) => file.id));
    const others = standing.photos.filter((photo) => photo.state === "received" && !mine.has(photo.id));
    const named = [...queue.files.filter((file) => file.state !== "ready"), ...others];
    named.sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
    const shown = named.slice(0, Math.max(ROWS, queue.count("refused")));
    const list = this.#part("files");
    while (list.children.length > shown.length) list.lastChild.remove();
    while (list.children.length < shown.length) {
      const row = document.createElement("li");
      row.append(document.createElement("bdi"), document.createElement("span"), document.createElement("button"));
      row.lastChild.className = "button small";
      list.append(row);
    }
    shown.forEach((file, i) => {
      const [name, state, again] = list.children[i].children;
      list.children[i].dataset.state = file.state;
      name.textContent = file.name;
      state.textContent = this.#stateOf(file);
      again.hidden = !(file.state === "refused" && file.canRetry);
      again.onclick = () => this.#retry(file);
      again.textContent = this.#say("try-again");
      again.setAttribute("aria-label", `${again.textContent} ${file.name}`);
    });
    const more = named.length - shown.length;
    this.#write(this.#part("more"), more ? this.#say("more", { count: more }) : "");
  }

  #stateOf(file) {
    if (file.state === "refused") return this.#say("reason-" + file.reason);
    if (file.state === "sending") return this.#say("file-sending", { share: Math.floor((100 * file.sent) / file.size) });
    if (file.state === "received" && file.progress) return this.#say("file-preparing", { share: file.progress });
    return this.#say("file-" + file.state);
  }

  #part(name) {
    return this.element.querySelector(`[data-part="${name}"]`);
  }

  #word(name) {
    return this.#words.querySelector(`[data-word="${name}"]`);
  }

  #say(name, facts = {}) {
    const found = this.#word(name) || this.#word("reason-failed");
    return found.textContent.trim().replace(/\{(\w+)\}/g, (whole, fact) => facts[fact] ?? whole);
  }

  #listOfKinds(kinds) {
    return new Intl.ListFormat(document.documentElement.lang).format(kinds.map((kind) => this.#say("kind-" + kind)));
  }

  #write(element, text) {
    if (element.textContent !== text) element.textContent = text; // screen readers hear only what changes
    if (element.localName !== "button") element.hidden = !text;
  }
}
