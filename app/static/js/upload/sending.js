// Sends one file in the words of tus, and goes on where it stopped: after a lost line, a restart of the server, a reload of the page.

const SILENCE = 60000; // milliseconds without a byte, after which a line is given up: some go dead without a word
const PIECE = 32 * 1024 * 1024; // bytes of one request: then others have their turn on the server
const REMEMBERED = 24 * 3600 * 1000; // as long as the server keeps what has arrived

let library = null;

function fetchLibrary() {
  library = library || new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = new URL("../../vendor/tus/tus.min.js", import.meta.url);
    script.onload = () => resolve(window.tus);
    script.onerror = () => {
      script.remove();
      library = null; // the next try fetches it again
      reject(new Error("no connection"));
    };
    document.head.append(script);
  });
  return library;
}

// One attempt. Resolves to {status, body, photo, anew}: `photo` is what became of the file once all of it has arrived, status 0 a line
// that broke, `anew` that the server has forgotten what it had. `onProgress` is told how many bytes have gone out.
export async function send(file, { album, endpoint, token, mark, signal, onProgress }) {
  let tus;
  try {
    tus = await fetchLibrary();
  } catch {
    return { status: 0, body: {} };
  }
  const key = await keyOf(album, file);
  const isAlone = !underway.has(key); // two files can look the same and yet differ: then only one of them is remembered
  if (isAlone) underway.add(key);
  return new Promise((resolve) => {
    const begun = isAlone && recall(key);
    let silence = 0;
    const end = (result) => {
      clearTimeout(silence);
      signal.removeEventListener("abort", stop);
      if (isAlone) underway.delete(key);
      resolve({ body: {}, ...result });
    };
    const stop = () => {
      attempt.abort();
      end({ status: 0 });
    };
    const alive = () => {
      clearTimeout(silence);
      silence = setTimeout(stop, SILENCE);
    };
    const attempt = new tus.Upload(file, {
      chunkSize: PIECE,
      ...(begun ? { uploadUrl: begun } : { endpoint }), // never both: it would begin anew when the server is only busy
      metadata: { filename: file.name, mark }, // when the answer to its beginning is lost, it is begun again by the same mark
      headers: { Accept: "application/json", "X-CSRFToken": token },
      retryDelays: null, // the queue tries again
      storeFingerprintForResuming: false, // its own memory would keep names
      onUploadUrlAvailable: () => isAlone && remember(key, attempt.url),
      onProgress: (sent) => {
        alive();
        onProgress(sent);
      },
      onSuccess: ({ lastResponse }) => {
        if (isAlone) forget(key);
        end({ status: 200, photo: JSON.parse(lastResponse.getHeader("Kinfold-Photo")) });
      },
      onError: (error) => {
        const status = error.originalResponse ? error.originalResponse.getStatus() : 0;
        const anew = [404, 410].includes(status) && error.originalRequest.getMethod() !== "POST";
        if (anew) forget(key);
        end({ status, anew, body: error.originalResponse ? parsed(error.originalResponse.getBody()) : {} });
      },
    });
    signal.addEventListener("abort", stop);
    if (signal.aborted) return stop();
    alive();
    attempt.start();
  });
}

function parsed(text) {
  try {
    return JSON.parse(text) || {};
  } catch {
    return {}; // a page for people: its status says enough
  }
}

// ---- which files have been begun: the address of each, under a key that does not show its name ----

const PREFIX = "kinfold-upload ";
const LOOKED_AT = 64 * 1024; // bytes at either end of a file, which tell files of one name and size apart

const underway = new Set();

async function keyOf(album, file) {
  const named = new TextEncoder().encode(`${file.name}\0${file.lastModified}`);
  const ends = await new Blob([named, file.slice(0, LOOKED_AT), file.slice(-LOOKED_AT)]).arrayBuffer().catch(() => named);
  return `${PREFIX}${album} ${file.size} ${digest(new Uint8Array(ends))}`;
}

// FNV-1a (Fowler, Noll, Vo) twice, from two beginnings: short, and not the name itself.
function digest(bytes) {
  return [2166136261, 2654435769].map((start) => {
    let value = start;
    for (const byte of bytes) value = Math.imul(value ^ byte, 16777619);
    return (value >>> 0).toString(36);
  }).join("");
}

function recall(key) {
  return memory((store) => JSON.parse(store.getItem(key)).url);
}

function remember(key, url) {
  memory((store) => store.setItem(key, JSON.stringify({ url, at: Date.now() })));
}

function forget(key) {
  memory((store) => store.removeItem(key));
}

function memory(use) {
  try {
    return use(localStorage);
  } catch {
    return undefined; // nothing of it there, or a browser that remembers nothing: a file is then sent from its beginning
  }
}

memory((store) => {
  for (const key of Object.keys(store).filter((each) => each.startsWith(PREFIX))) {
    if (!(JSON.parse(store.getItem(key)).at > Date.now() - REMEMBERED)) store.removeItem(key);
  }
});
