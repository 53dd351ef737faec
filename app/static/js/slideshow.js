// The whole album by itself, from its beginning and round again: one photo after the other on the full screen, on a wide one two
// upright photos side by side; a video is played to its end, without its sound. The arrows turn, Enter and Space pause, any touch, Escape
// or "back" stops; so it works by a television's remote control. The screen stays awake.
import { find } from "./leaves.js";
import seen from "./seen.js";

const SHOWN = 6000; // ms
const HINT = 5000; // ms
const SILENCE = 15000; // ms that a video may take to begin, and longer than it lasts, before the show goes on without it
const STOPPING = ["Escape", "Backspace", "GoBack", "BrowserBack", "XF86Back"];

function tall(link) {
  const image = link.querySelector("img");
  return Number(image.getAttribute("height")) > Number(image.getAttribute("width"));
}

// A picture that can be shown at once; null when it can't be had.
function picture(link) {
  const image = new Image();
  image.alt = link.querySelector("img").alt;
  return new Promise((resolve) => {
    image.onload = () => resolve(image);
    image.onerror = () => resolve(null);
    image.src = link.dataset.screen;
  });
}

// The same for a video. It has no sound: the show plays for hours in a corner, and nobody shall be startled. It is begun at once, because
// some browsers load nothing before.
function film(link) {
  const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true, preload: "auto", src: link.dataset.play });
  video.setAttribute("aria-label", link.querySelector("img").alt);
  video.play().catch(() => {});
  return new Promise((resolve) => {
    const none = () => {
      drop(video);
      resolve(null);
    };
    const late = setTimeout(none, SILENCE);
    video.onerror = none;
    video.oncanplay = () => {
      clearTimeout(late);
      resolve(video);
    };
  });
}

// It loads no more, and gives back what it is decoded with: a television has few of those.
function drop(video) {
  video.onerror = video.oncanplay = video.onended = null;
  video.removeAttribute("src");
  video.load();
}

export default function slideshow(photos, button) {
  const count = Number(photos.dataset.count);
  const box = document.createElement("div");
  const hint = document.createElement("p");
  let shown; // the sheet on the screen: { element, first, last }, places in the album
  let timer;
  let paused = false;
  let over = false;
  let lock = null;
  let turned = Promise.resolve(); // every tap on an arrow counts, one after the other

  box.className = "show";
  box.tabIndex = -1;
  box.setAttribute("role", "dialog");
  box.setAttribute("aria-modal", "true");
  box.setAttribute("aria-label", photos.dataset.title);
  hint.className = "show-hint";
  hint.setAttribute("role", "status");
  box.appendChild(hint);

  const wrap = (place) => ((place - 1 + count) % count) + 1;

  // The photos to show from a place on, in a direction: one, or two that stand side by side. Null when the album has none to show.
  async function sheet(start, step) {
    for (let place = wrap(start), tried = 0; tried < count; place = wrap(place + step), tried += 1) {
      const link = await find(place);
      const image = link && (await (link.dataset.play ? film(link) : picture(link)));
      if (!image) continue;
      const made = { element: document.createElement("div"), first: place, last: place, images: [image], pages: [link.href] };
      if (link.dataset.play) made.film = image;
      const beside = !made.film && tall(link) && innerWidth > innerHeight && wrap(place + step) !== place ? await find(wrap(place + step)) : null;
      const second = beside && !beside.dataset.play && tall(beside) && (await picture(beside));
      if (second) {
        made.images[step > 0 ? "push" : "unshift"](second);
        made.pages.push(beside.href);
        made[step > 0 ? "last" : "first"] = wrap(place + step);
      }
      made.element.className = "show-sheet";
      for (const each of made.images) made.element.appendChild(each);
      return made;
    }
    return null;
  }

  function turn(step) {
    clearTimeout(timer);
    if (shown && shown.film) shown.film.onended = null; // its turn is over already
    turned = turned.then(() => (over ? null : go(step)));
  }

  async function go(step) {
    const start = !shown ? 1 : step > 0 ? shown.last + 1 : shown.first - 1;
    const made = await sheet(start, step);
    if (over) {
      if (made && made.film) drop(made.film);
      return;
    }
    if (!made) {
      stop();
      return;
    }
    const before = shown;
    shown = made;
    made.pages.forEach((page) => seen(page));
    box.insertBefore(made.element, hint);
    made.element.getBoundingClientRect(); // it is there before it fades in
    made.element.classList.add("seen");
    if (before) {
      before.element.classList.remove("seen");
      if (before.film) before.film.pause();
      setTimeout(() => {
        before.element.remove();
        if (before.film) drop(before.film);
      }, 2000);
    }
    if (!paused) run();
    else if (made.film) made.film.pause();
  }

  // What is on the screen goes on by itself.
  function run() {
    clearTimeout(timer);
    const { film: video } = shown;
    const plays = video && !video.ended; // a very short one may be over before it is seen
    if (plays) {
      video.onended = () => turn(1);
      video.play().catch(() => {}); // then its first picture is shown
    }
    timer = setTimeout(() => turn(1), plays ? 1000 * (video.duration || 0) + SILENCE : SHOWN);
  }

  function pause() {
    paused = !paused;
    hint.textContent = paused ? photos.dataset.paused : "";
    hint.classList.toggle("gone", !paused);
    clearTimeout(timer);
    if (!shown) return;
    if (paused && shown.film) shown.film.pause();
    else if (shown.film) run();
    else if (!paused) turn(1);
  }

  function keepAwake() {
    if (!navigator.wakeLock || over || document.visibilityState !== "visible") return;
    navigator.wakeLock.request("screen").then((got) => {
      lock = got;
      if (over) lock.release();
    }, () => {});
  }

  function stop() {
    if (over) return;
    over = true;
    history.back(); // and "popstate" ends it
  }

  function end() {
    over = true;
    clearTimeout(timer);
    if (shown && shown.film) drop(shown.film);
    removeEventListener("popstate", end);
    document.removeEventListener("visibilitychange", keepAwake);
    document.removeEventListener("fullscreenchange", left);
    if (lock) lock.release();
    if (document.fullscreenElement) document.exitFullscreen();
    document.documentElement.classList.remove("showing");
    box.remove();
    button.focus();
  }

  function left() {
    if (!document.fullscreenElement) stop();
  }

  box.addEventListener("click", stop);
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const forward = document.dir === "rtl" ? "ArrowLeft" : "ArrowRight";
    if (STOPPING.includes(event.key)) stop();
    else if (event.key === "Enter" || event.key === " ") pause();
    else if (event.key === "ArrowDown" || event.key === forward) turn(1);
    else if (event.key.startsWith("Arrow")) turn(-1);
    else if (event.key !== "Tab") return; // there is nowhere to go to
    event.preventDefault();
  });

  document.body.appendChild(box);
  document.documentElement.classList.add("showing");
  box.focus();
  hint.textContent = photos.dataset.stop;
  setTimeout(() => { hint.classList.toggle("gone", !paused); }, HINT);
  history.pushState(null, "", location.href);
  addEventListener("popstate", end);
  document.addEventListener("visibilitychange", keepAwake);
  keepAwake();
  if (box.requestFullscreen) {
    box.requestFullscreen().then(() => document.addEventListener("fullscreenchange", left), () => {});
  }
  turn(1);
}
