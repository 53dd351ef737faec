// Shows a blurred picture in the box of each photo until the photo is there.
import { thumbHashToDataURL } from "../vendor/thumbhash/thumbhash.js";

const FAR = "600px"; // how far below the screen we draw ahead
const SHARE = 5; // ms of each frame that drawing may take: a page of photos must not hold up a finger

const waiting = [];

function fill(image) {
  if (image.complete) return;
  const hash = Uint8Array.from(atob(image.dataset.thumbhash), (letter) => letter.charCodeAt(0));
  image.style.backgroundImage = "url(" + thumbHashToDataURL(hash) + ")";
  image.addEventListener("load", () => { image.style.backgroundImage = ""; }, { once: true });
}

function draw() {
  const until = performance.now() + SHARE;
  while (waiting.length && performance.now() < until) fill(waiting.shift());
  if (waiting.length) requestAnimationFrame(draw);
}

function soon(image) {
  if (waiting.push(image) === 1) requestAnimationFrame(draw);
}

export default function placeholder(box) {
  const images = box.querySelectorAll("img[data-thumbhash]");
  if (!("IntersectionObserver" in window)) {
    images.forEach(soon);
    return;
  }
  const watch = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting) continue;
      watch.unobserve(target);
      soon(target);
    }
  }, { rootMargin: FAR });
  for (const image of images) watch.observe(image);
}
