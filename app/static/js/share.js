// Hands a link over: to the phone's share sheet, or to the clipboard.
export default function share(box) {
  const link = box.querySelector('[data-part="link"]');
  const said = box.querySelector('[data-part="said"]');
  const [send, copy] = ["send", "copy"].map((part) => document.querySelector(`[data-part="${part}"][data-for="${box.id}"]`));

  link.addEventListener("focus", () => link.select());

  copy.hidden = false;
  copy.addEventListener("click", async () => {
    link.select();
    let copied = false;
    try {
      await navigator.clipboard.writeText(link.value); // only over https
      copied = true;
    } catch {
      copied = document.execCommand("copy"); // everywhere else
    }
    said.textContent = copied ? copy.dataset.copied : copy.dataset.select;
  });

  if (!navigator.share) {
    copy.classList.add("primary");
    return;
  }
  send.hidden = false;
  send.addEventListener("click", () => {
    navigator.share({ text: box.dataset.text.trim(), url: link.value }).catch(() => {}); // closing the sheet is no fault
  });
}
