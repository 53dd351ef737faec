// From a photo full screen to its own page, where hearts and notes are. First it closes, so that "back" leads to the album from there.
export default function answering(pswp, current, word) {
  pswp.ui.registerElement({
    name: "answer", tagName: "a", className: "word", order: 7, isButton: true, html: word, title: word,
    onInit: (button) => pswp.on("change", () => {
      button.hidden = !current();
      if (!button.hidden) button.href = current().href;
    }),
    onClick: (event, button) => {
      event.preventDefault();
      const leave = () => {
        addEventListener("popstate", () => location.assign(button.href), { once: true });
        pswp.close();
      };
      if (pswp.opener.isOpen) leave();
      else pswp.on("openingAnimationEnd", leave); // tapped while it opens
    },
  });
}
