// Shows one photo full screen and lets the finger swipe to the next, through the whole album. The links of the grid stay what they are:
// the address follows the photo, so that "back" closes, and reloading shows the photo's own page.
import PhotoSwipe from "../vendor/photoswipe/photoswipe.esm.min.js";
import answering from "./answering.js";
import fresh from "./fresh.js";
import seen from "./seen.js";
import { at, find } from "./leaves.js";

const CONTROLS = 80; // pixels at the bottom of a video that are its own

const sheet = new Promise((resolve, reject) => {
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("../vendor/photoswipe/photoswipe.css", import.meta.url).href;
  link.onload = resolve;
  link.onerror = reject;
  document.head.prepend(link); // before our own sheet, which adjusts it
});

function slide(link) {
  const image = link.querySelector("img");
  const width = Number(link.dataset.screenWidth);
  return {
    type: link.dataset.play ? "film" : "image",
    play: link.dataset.play,
    src: link.dataset.screen,
    msrc: image.currentSrc || image.src,
    width: width,
    height: Math.round((width * image.getAttribute("height")) / image.getAttribute("width")),
    alt: image.alt,
    element: link,
    thumbCropped: true,
  };
}

// What stands in for a photo whose page is not here yet.
function waiting() {
  return { type: "waiting", width: innerWidth, height: innerHeight };
}

function film({ play, src, alt, width, height }) {
  const video = Object.assign(document.createElement("video"), {
    className: "pswp__film", controls: true, playsInline: true, preload: "none", poster: src, src: play, width, height,
  });
  video.setAttribute("aria-label", alt);
  return video;
}

// Pixels that a video leaves free below it, so that the buttons there do not lie over its own.
function footing() {
  const buttons = document.querySelector(".pswp-foot div");
  return buttons ? innerHeight - buttons.getBoundingClientRect().top : 0;
}

function word(text) {
  const span = document.createElement("span");
  span.textContent = text;
  return span.outerHTML;
}

function open(photos, opened) {
  const words = photos.dataset;
  const pswp = new PhotoSwipe({
    index: opened.dataset.place - 1,
    loop: false,
    counter: true,
    zoom: false,
    wheelToZoom: true,
    paddingFn: (_, { type }) => ({ bottom: type === "film" ? footing() : 0 }),
    bgOpacity: 1,
    errorMsg: words.gone,
    closeTitle: words.close,
    closeSVG: word(words.close),
    arrowPrevTitle: words.previous,
    arrowPrevSVG: word(words.previous),
    arrowNextTitle: words.next,
    arrowNextSVG: word(words.next),
  });
  const current = () => at(pswp.currIndex + 1);

  pswp.addFilter("numItems", () => Number(words.count));
  pswp.addFilter("itemData", (_, index) => {
    const link = at(index + 1);
    if (link) return slide(link);
    find(index + 1).then((found) => {
      if (found && !pswp.isDestroying) pswp.refreshSlideContent(index);
    });
    return waiting();
  });

  // A video is itself, with its own controls; a swipe over them is theirs. Out of sight it stops.
  pswp.on("contentLoad", (event) => {
    const { content } = event;
    if (content.type === "image") return;
    event.preventDefault();
    content.element = content.type === "film" ? film(content.data) : document.createElement("div");
    content.state = "loaded";
    content.onLoaded();
  });
  pswp.on("contentDeactivate", ({ content }) => { if (content.type === "film") content.element.pause(); });
  pswp.on("pointerDown", (event) => {
    const video = event.originalEvent.target.closest(".pswp__film");
    if (video && event.originalEvent.clientY > video.getBoundingClientRect().bottom - CONTROLS) event.preventDefault();
  });

  pswp.on("uiRegister", () => {
    answering(pswp, current, words);
    pswp.ui.registerElement({
      name: "save", tagName: "a", className: "word", order: 8, isButton: true, html: word(words.saveWord), title: words.saveWord,
      onInit: (button) => pswp.on("change", () => {
        const link = current();
        button.hidden = !(link && link.dataset.save);
        if (!button.hidden) button.href = link.dataset.save;
      }),
    });
  });
  pswp.addFilter("uiElement", (element, data) => {
    if (data.isButton) element.classList.add("word");
    element.removeAttribute("aria-controls"); // names an id that is not there
    return element;
  });
  pswp.on("afterInit", () => pswp.updateSize(true)); // the buttons are there by now
  pswp.on("initialLayout", () => pswp.element.setAttribute("aria-label", words.title));

  // An address that has ended: the photo's own page knows a fresh one, or says what is over.
  pswp.on("loadError", ({ slide: failed }) => { if (failed === pswp.currSlide) fresh(); });

  let left = false; // whether "back" closed it
  const leave = () => { left = true; pswp.close(); };
  const { scrollRestoration } = history;
  history.scrollRestoration = "manual"; // the grid goes along with the photos, and stays there
  history.pushState(null, "", opened.href);
  addEventListener("popstate", leave);
  pswp.on("change", () => {
    const link = current();
    if (!link) return;
    history.replaceState(null, "", link.href);
    link.scrollIntoView({ block: "nearest" });
    seen(link.href);
  });
  pswp.on("destroy", () => {
    removeEventListener("popstate", leave);
    addEventListener("popstate", () => { history.scrollRestoration = scrollRestoration; }, { once: true });
    if (left) history.scrollRestoration = scrollRestoration;
    else history.back();
    if (current()) current().focus({ preventScroll: true });
  });
  pswp.init();
}

export default function lightbox(photos) {
  photos.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-screen]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    sheet.then(() => open(photos, link), () => location.assign(link.href));
  });
}
