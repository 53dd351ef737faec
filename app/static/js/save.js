// Saves a photo by the phone's own dialog, where it has one that takes files. Everywhere else the link stays what it is: a download.

const MOST = 50000000; // bytes; what is larger need not pass through the memory of a page

export default function save(link) {
  if (!matchMedia("(pointer: coarse)").matches || !takes(new File([""], "photo.jpg", { type: "image/jpeg" }))) return;
  const word = link.textContent;
  let file = null;
  let busy = false;

  link.setAttribute("aria-live", "polite");
  link.addEventListener("click", async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    const again = file !== null;
    try {
      if (!again) link.textContent = link.dataset.wait;
      file = file || await fetched(link.href);
      await navigator.share({ files: [file] });
      link.textContent = word;
    } catch (error) {
      // A tap counts for some seconds only: when the photo took longer to come, the dialog needs another one.
      const late = error.name === "NotAllowedError" && !again;
      link.textContent = late ? link.dataset.ready : word;
      if (!late && error.name !== "AbortError") location.assign(link.href); // closing the dialog is no fault
    }
    busy = false;
  });
}

function takes(file) {
  return Boolean(navigator.canShare) && navigator.canShare({ files: [file] });
}

// The photo under its name. Fails when it can't be had, is too large, or is nothing that the dialog takes.
async function fetched(address) {
  const answer = await fetch(address);
  const [type, size, said] = ["Content-Type", "Content-Length", "Content-Disposition"].map((name) => answer.headers.get(name));
  if (!answer.ok || Number(size) > MOST) {
    answer.body.cancel();
    throw new Error("not for the dialog");
  }
  const file = new File([await answer.blob()], said.split('"')[1], { type });
  if (!takes(file)) throw new Error("not for the dialog");
  return file;
}
