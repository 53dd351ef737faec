// A button that puts Kinfold on the home screen, where the browser offers to.
export default function install(button) {
  addEventListener("beforeinstallprompt", (offer) => {
    offer.preventDefault();
    button.hidden = false;
    button.onclick = () => {
      button.hidden = true; // an offer is good once
      offer.prompt();
    };
  });
  addEventListener("appinstalled", () => { button.hidden = true; });
}
