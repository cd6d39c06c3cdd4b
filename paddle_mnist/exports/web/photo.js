// Photos: chosen, dropped or pasted.

const MAX_SIDE = 1600; // larger photos are reduced

// Calls onPhoto with the file of a photo that is dropped on the target, pasted anywhere, or chosen by the input element.
export function listenForPhotos(target, input, onPhoto) {
  const take = (files) => {
    const file = [...files].find(({ type }) => type.startsWith("image/"));
    if (file) onPhoto(file);
    return Boolean(file);
  };
  for (const kind of ["dragenter", "dragover"]) {
    target.addEventListener(kind, (event) => {
      if (![...event.dataTransfer.types].includes("Files")) return;
      event.preventDefault();
      target.classList.add("dropping");
    });
  }
  target.addEventListener("dragleave", (event) => {
    if (!target.contains(event.relatedTarget)) target.classList.remove("dropping");
  });
  target.addEventListener("drop", (event) => {
    event.preventDefault();
    target.classList.remove("dropping");
    take(event.dataTransfer.files);
  });
  document.addEventListener("paste", (event) => {
    if (take(event.clipboardData?.files ?? [])) event.preventDefault();
  });
  input.addEventListener("change", () => {
    take(input.files);
    input.value = "";
  });
}

// Returns the grey values of a photo as Pillow converts colours: {gray: Uint8Array, width, height, bitmap}.
export async function readPhoto(file) {
  const bitmap = await createImageBitmap(file), scale = Math.min(1, MAX_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d", { willReadFrequently: true });
  const width = (canvas.width = Math.max(1, Math.round(bitmap.width * scale)));
  const height = (canvas.height = Math.max(1, Math.round(bitmap.height * scale)));
  context.fillStyle = "#fff"; // behind what is transparent
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height), gray = new Uint8Array(width * height);
  for (let i = 0; i < gray.length; i++) {
    gray[i] = (data[4 * i] * 19595 + data[4 * i + 1] * 38470 + data[4 * i + 2] * 7471 + 0x8000) >> 16;
  }
  return { gray, width, height, bitmap };
}

// Shows a photo in a canvas, whole and centred.
export function showPhoto(canvas, bitmap) {
  const context = canvas.getContext("2d"), { width, height } = canvas;
  const scale = Math.min(width / bitmap.width, height / bitmap.height);
  const [w, h] = [bitmap.width * scale, bitmap.height * scale];
  context.clearRect(0, 0, width, height);
  context.imageSmoothingEnabled = true;
  context.drawImage(bitmap, (width - w) / 2, (height - h) / 2, w, h);
}
