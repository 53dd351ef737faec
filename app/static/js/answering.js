// Below a photo full screen: its words, a heart to give or take back with one tap, and the way to its own page, where all is that was said.
// A heart is given by one person: on a tablet of several people, as for members, the page of the photo asks who it is.
const SILENCE = 20000; // milliseconds after which a heart has not arrived
const OVER = [400, 404, 410]; // a form that is too old, an album that has ended

export default function answering(pswp, current, words) {
  const form = document.querySelector("form[data-guest]");
  pswp.ui.registerElement({
    name: "foot", className: "pswp-foot", order: 9, appendTo: "root",
    onInit: (foot) => {
      const line = document.createElement("p");
      line.dir = "auto";
      line.setAttribute("role", "status");
      foot.append(line);
      pswp.on("change", () => { line.textContent = (current() && current().dataset.caption) || ""; });
      if (!form) return;
      const buttons = document.createElement("div");
      buttons.append(heart(pswp, current, form, line), toPage(pswp, current, form.dataset.write));
      foot.append(buttons);
    },
  });
  if (form) return;
  pswp.ui.registerElement({
    name: "answer", tagName: "a", className: "word", order: 7, isButton: true, html: words.answer, title: words.answer,
    onInit: (link) => lead(link, pswp, current),
  });
}

function heart(pswp, current, form, line) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button like";
  button.textContent = form.dataset.like;
  const show = () => {
    button.hidden = !current();
    button.setAttribute("aria-pressed", Boolean(current() && current().dataset.liked));
  };
  pswp.on("change", show);
  button.addEventListener("click", () => {
    const link = current();
    if (link.sending) return;
    const limit = "AbortController" in window ? new AbortController() : { abort() {} };
    const late = setTimeout(() => limit.abort(), SILENCE);
    const say = (text) => { if (current() === link) line.textContent = text || link.dataset.caption || ""; };
    const given = !link.dataset.liked;
    const mark = (liked) => {
      if (liked) link.dataset.liked = "y";
      else delete link.dataset.liked;
      show();
    };
    const data = new FormData(form);
    data.append("guest", form.dataset.guest);
    data.append("given", given ? "y" : "n");
    link.sending = true;
    mark(given);
    say("");
    fetch(link.pathname + "/heart", {
      method: "POST", body: data, credentials: "same-origin", redirect: "manual", signal: limit.signal,
    }).then((answer) => {
      if (answer.type === "opaqueredirect") return; // taken; it leads to the photo's page, which nobody needs
      if (OVER.includes(answer.status)) location.assign(link.href); // that page says what is over
      else throw new Error("not taken");
    }).catch(() => {
      mark(!given);
      say(form.dataset.offline);
    }).then(() => {
      clearTimeout(late);
      link.sending = false;
    });
  });
  return button;
}

function toPage(pswp, current, word) {
  const link = document.createElement("a");
  link.className = "button";
  link.textContent = word;
  lead(link, pswp, current);
  return link;
}

// Leads to the page of the photo. First the full screen closes, so that "back" leads to the album from there.
function lead(link, pswp, current) {
  pswp.on("change", () => {
    link.hidden = !current();
    if (!link.hidden) link.href = current().href;
  });
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const leave = () => {
      addEventListener("popstate", () => location.assign(link.href), { once: true });
      pswp.close();
    };
    if (pswp.opener.isOpen) leave();
    else pswp.on("openingAnimationEnd", leave); // tapped while it opens
  });
}
