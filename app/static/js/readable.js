// Whether the phone still lets us read a file: it may have been deleted since, or lie in a cloud that is out of reach.
export default function canBeRead(file) {
  return new Response(file.slice(0, 1)).arrayBuffer().then(() => true, () => false);
}
