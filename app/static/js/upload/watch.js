// Asks the server what has become of the photos, and puts each on the page as soon as it is ready: what is there stays where it is.

const ASK_EVERY = 1500; // milliseconds
const SHOW_EVERY = 3000; // milliseconds between two looks at the page itself
const ASKED_BY_NAME = 50; // photos in one question

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

export default class Watch {
  standing; // what the server said last
  #address;
  #offer;
  #queue;
  #changed;
  #shown; // how many ready photos the page knows of
  #shownAt = 0;
  #asking = false;
  #unlisted = []; // photos that are not on their way any more: what has become of them is asked next

  constructor({ address, board, queue, changed }) {
    this.#address = address;
    this.#offer = board.querySelector('[data-part="done"]');
    this.#offer.addEventListener("click", (event) => {
      event.preventDefault(); // a reload would stop what is being sent
      this.#putOnPage();
    });
    this.#queue = queue;
    this.#changed = changed;
    this.#shown = Number(board.dataset.ready);
    this.standing = { ready: this.#shown, waiting: Number(board.dataset.waiting), photos: [] };
  }

  // What has just arrived may be newer than what the server said last.
  get preparing() {
    return this.standing.waiting > 0 || this.#queue.count("received") > 0;
  }

  async start() {
    if (this.#asking) return;
    this.#asking = true;
    do {
      await pause(document.hidden ? 5 * ASK_EVERY : ASK_EVERY);
      await this.#ask().catch(() => {}); // no connection: the next question may get through
    } while (this.preparing || this.#queue.unsent);
    await this.#showNew().catch(() => {});
    this.#asking = false;
    this.#changed();
  }

  async #ask() {
    const received = this.#queue.files.filter((file) => file.state === "received");
    const asked = this.#unlisted;
    const address = this.#address + asked.map((id) => `&photo=${id}`).join("");
    const answer = await fetch(address, { headers: { Accept: "application/json" } });
    if (answer.status === 404) this.#queue.trouble = "reload";
    if (!answer.ok) return;
    this.standing = await answer.json();
    const known = new Map(this.standing.photos.map((photo) => [photo.id, photo]));
    this.#unlisted = [];
    for (const file of received) {
      const found = known.get(file.id);
      if (found) Object.assign(file, { state: found.state, reason: found.reason, progress: found.progress, canRetry: found.can_retry });
      else if (asked.includes(file.id)) this.#queue.forget(file); // it was deleted, or is the moving half of a Live Photo
      else if (this.#unlisted.length < ASKED_BY_NAME) this.#unlisted.push(file.id);
    }
    this.#changed();
    if (performance.now() - this.#shownAt > SHOW_EVERY) await this.#showNew();
  }

  // Where somebody reads further down or looks at one photo, new ones are only offered.
  async #showNew() {
    if (this.standing.ready === this.#shown) return;
    this.#offer.hidden = !inUse();
    if (!inUse()) await this.#putOnPage();
  }

  async #putOnPage() {
    this.#offer.hidden = true;
    this.#shownAt = performance.now();
    const { ready } = this.standing;
    const answer = await fetch(location.href);
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const id of ["about", "photos"]) renew(document.getElementById(id), document.adoptNode(page.getElementById(id)));
    this.#shown = ready;
  }
}

function inUse() {
  const photos = document.getElementById("photos");
  return scrollY >= 200 || photos.contains(document.activeElement) || document.querySelector(".pswp, dialog[open]") !== null;
}

function renew(old, fresh) {
  for (const tile of fresh.querySelectorAll(".tile")) {
    const known = document.getElementById(tile.id);
    if (known) tile.replaceWith(known);
  }
  old.replaceWith(fresh);
  fresh.dispatchEvent(new CustomEvent("kinfold:new", { bubbles: true }));
}
