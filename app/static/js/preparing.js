// A part of the page that tells of something still being prepared: it is fetched again now and then until that is done, or gone.
import { refresh } from "./inplace.js";

const FIRST = 2000; // milliseconds; each further look comes later,
const LAST = 10000; // but not later than this
const LOOKS = 30;

const looks = new Map(); // by the id of the part, which is a new element after each look

export default function preparing(part) {
  const before = looks.get(part.id) || 0;
  if (before === LOOKS) return;
  looks.set(part.id, before + 1);
  setTimeout(() => {
    if (!part.isConnected) return;
    refresh(part.id).then((found) => {
      const now = document.getElementById(part.id);
      if (!found) part.remove();
      else if (now.dataset.module !== part.dataset.module) looks.delete(part.id); // it is done
    }, () => preparing(part));
  }, Math.min(LAST, FIRST * (1 + before / 2)));
}
