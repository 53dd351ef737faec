// Shows a blurred picture in the box of each photo until the photo is there.
import { thumbHashToDataURL } from "../vendor/thumbhash/thumbhash.js";

const FAR = "600px"; // how far below the screen we draw ahead

function fill(image) {
  if (image.complete) return;
  const hash = Uint8Array.from(atob(image.dataset.thumbhash), (letter) => letter.charCodeAt(0));
  image.style.backgroundImage = "url(" + thumbHashToDataURL(hash) + ")";
  image.addEventListener("load", () => { image.style.backgroundImage = ""; }, { once: true });
}

export default function placeholder(box) {
  const images = box.querySelectorAll("img[data-thumbhash]");
  if (!("IntersectionObserver" in window)) {
    for (const image of images) fill(image);
    return;
  }
  const watch = new IntersectionObserver((seen) => {
    for (const { isIntersecting, target } of seen) {
      if (!isIntersecting) continue;
      watch.unobserve(target);
      fill(target);
    }
  }, { rootMargin: FAR });
  for (const image of images) watch.observe(image);
}
