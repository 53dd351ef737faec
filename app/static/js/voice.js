// Hold the button, speak, let go. Whoever only taps it, or has no pointer, taps once more to send. Without a microphone the form stays
// what it is: a file from the phone's own recorder.
import { send } from "./inplace.js";

const LONGEST = 20000; // milliseconds
const TAP = 500; // a shorter touch is a tap

export default function voice(form) {
  if (!navigator.mediaDevices || !navigator.mediaDevices.getUserMedia || !window.MediaRecorder) return;
  const words = form.dataset;
  const input = form.querySelector('input[type="file"]');
  const plain = [input, form.querySelector('button[type="submit"]')];
  const button = Object.assign(document.createElement("button"), { type: "button", className: "button speak", textContent: words.hold });
  const line = document.createElement("p");
  line.setAttribute("role", "status");
  let recorder = null; // while somebody speaks
  let held = false;
  let began = 0;

  function show(speaking) {
    for (const each of plain) each.hidden = each.disabled = speaking;
    button.hidden = !speaking;
  }

  function start() {
    if (recorder || form.dataset.sent || !form.reportValidity()) return;
    began = Date.now();
    navigator.mediaDevices.getUserMedia({ audio: true }).then(listen, () => {
      line.textContent = words.refused;
      show(false);
    });
  }

  function listen(stream) {
    const pieces = [];
    const mine = recorder = new MediaRecorder(stream);
    const limit = setTimeout(stop, LONGEST);
    mine.addEventListener("dataavailable", (event) => pieces.push(event.data));
    mine.addEventListener("stop", () => {
      clearTimeout(limit);
      for (const track of stream.getTracks()) track.stop();
      recorder = null;
      button.setAttribute("aria-pressed", "false");
      line.textContent = words.sending;
      const body = new FormData(form);
      body.append("voice", new Blob(pieces, { type: mine.mimeType }), "voice");
      send(form, body).then(() => { line.textContent = ""; });
    });
    mine.start();
    button.setAttribute("aria-pressed", "true");
    line.textContent = held ? words.listening : words.tapped;
  }

  function stop() {
    if (recorder && recorder.state === "recording") recorder.stop();
  }

  button.addEventListener("pointerdown", () => {
    held = true;
    if (recorder) stop(); // the second tap
    else start();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    addEventListener(name, () => {
      if (!held) return;
      held = false;
      if (Date.now() - began > TAP) stop();
      else if (recorder) line.textContent = words.tapped;
    });
  }
  button.addEventListener("click", (event) => {
    if (event.detail) return; // a pointer's: it has been heard already
    if (recorder) stop();
    else start();
  });
  button.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch asks for none here

  button.setAttribute("aria-pressed", "false");
  form.append(button, line);
  show(true);
}
