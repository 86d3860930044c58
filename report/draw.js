// Reads drawn or opened pictures with the exported file, in onnxruntime-web. page.json says what the file takes and
// gives; its golden integers are checked at load. Nothing leaves the page.
import * as ort from "./runtime/ort.wasm.min.mjs";

const byId = (id) => document.getElementById(id);
const bytesOf = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
const arrays = { uint8: Uint8Array, int8: Int8Array, float32: Float32Array };
const about = await (await fetch("page.json")).json();
const { height, width, channels } = about.input;
const pad = byId("pad"), ink = pad.getContext("2d", { willReadFrequently: true });
const small = new OffscreenCanvas(width, height), view = small.getContext("2d", { willReadFrequently: true });
let session, opened = null, drawn = false, busy = false, again = false;

async function load() {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = new URL("runtime/", location.href).href;
  const content = new Uint8Array(await (await fetch("model.onnx")).arrayBuffer());
  let known = true;
  if (globalThis.crypto?.subtle) { // only where a page is served over https, or from this machine
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
    known = [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("") === about.sha256;
  }
  session = await ort.InferenceSession.create(content, { executionProviders: ["wasm"] });
  await checkParity(known);
}

async function outputs(input) {
  const tensor = new ort.Tensor(about.input.dtype, input, about.input.shape);
  const found = await session.run({ [session.inputNames[0]]: tensor });
  return found[session.outputNames[0]].data;
}

async function checkParity(known) {
  const golden = about.golden, type = arrays[about.input.dtype];
  const inputs = new type(bytesOf(golden.inputs).buffer);
  const expected = new arrays[about.output.dtype](bytesOf(golden.outputs).buffer);
  const each = inputs.length / golden.count, classes = expected.length / golden.count;
  let same = 0;
  for (let i = 0; i < golden.count; i++) {
    const answer = await outputs(inputs.slice(i * each, (i + 1) * each));
    for (let k = 0; k < classes; k++) same += answer[k] === expected[i * classes + k];
  }
  const good = known && same === expected.length, line = byId("parity");
  line.classList.add(good ? "pass" : "fail");
  line.textContent = (known ? "" : "The file is not the one that was exported. ") +
    `${same} of ${expected.length} golden ${about.output.dtype === "float32" ? "values" : "integers"} (${golden.count} test images) are those of ${golden.runtime}.`;
  samples(inputs, each);
  document.body.dataset.parity = good ? "pass" : "fail";
}

function samples(inputs, each) {
  for (let i = 0; i < Math.min(8, about.golden.count); i++) {
    const canvas = document.createElement("canvas");
    canvas.width = width; canvas.height = height;
    const pixels = Uint8Array.from(inputs.slice(i * each, (i + 1) * each), (v) => Math.round((v - about.input.shift) / about.input.step));
    paint(canvas.getContext("2d"), pixels);
    canvas.title = `test image ${i}: ${about.golden.labels[i]}`;
    canvas.onclick = () => { clear(); opened = pixels; ink.imageSmoothingEnabled = false; ink.drawImage(canvas, 0, 0, pad.width, pad.height); ask(); };
    byId("samples").append(canvas);
  }
}

// Pixels in the file's order of values, as a picture.
function paint(context, pixels) {
  const image = context.createImageData(width, height), plane = width * height;
  for (let i = 0; i < plane; i++)
    for (let c = 0; c < 3; c++) {
      const channel = channels === 1 ? 0 : c;
      image.data[4 * i + c] = about.input.planes ? pixels[channel * plane + i] : pixels[channels * i + channel];
    }
  for (let i = 0; i < plane; i++) image.data[4 * i + 3] = 255;
  context.putImageData(image, 0, 0);
}

// The small canvas as pixels in the file's order.
function pixelsOf() {
  const data = view.getImageData(0, 0, width, height).data, plane = width * height, pixels = new Uint8Array(plane * channels);
  for (let i = 0; i < plane; i++) {
    if (channels === 1) pixels[i] = Math.round(0.299 * data[4 * i] + 0.587 * data[4 * i + 1] + 0.114 * data[4 * i + 2]);
    else for (let c = 0; c < 3; c++) pixels[about.input.planes ? c * plane + i : 3 * i + c] = data[4 * i + c];
  }
  return pixels;
}

// As MNIST was made: the ink in a box of 20 of 28 pixels, its centre of mass in the middle.
function fitted() {
  const data = ink.getImageData(0, 0, pad.width, pad.height).data;
  let left = pad.width, right = -1, top = pad.height, bottom = -1;
  for (let y = 0; y < pad.height; y++)
    for (let x = 0; x < pad.width; x++)
      if (data[4 * (y * pad.width + x)] > 40) {
        left = Math.min(left, x); right = Math.max(right, x); top = Math.min(top, y); bottom = Math.max(bottom, y);
      }
  if (right < 0) return null;
  const w = right - left + 1, h = bottom - top + 1, scale = ((20 / 28) * Math.min(width, height)) / Math.max(w, h);
  const place = (dx, dy) => {
    view.fillStyle = "#000"; view.fillRect(0, 0, width, height);
    view.imageSmoothingEnabled = true; view.imageSmoothingQuality = "high";
    view.drawImage(pad, left, top, w, h, (width - w * scale) / 2 + dx, (height - h * scale) / 2 + dy, w * scale, h * scale);
    return pixelsOf();
  };
  const first = place(0, 0);
  let sum = 0, sumX = 0, sumY = 0;
  first.forEach((v, i) => { sum += v; sumX += v * (i % width); sumY += v * Math.floor(i / width); });
  return sum ? place((width - 1) / 2 - sumX / sum, (height - 1) / 2 - sumY / sum) : first;
}

function ask() {
  if (busy) { again = true; return; }
  requestAnimationFrame(answer);
}

async function answer() {
  const pixels = opened ?? (drawn ? fitted() : null);
  if (!pixels || !session) return;
  busy = true;
  paint(byId("seen").getContext("2d"), pixels);
  const input = arrays[about.input.dtype].from(pixels, (v) => about.input.step * v + about.input.shift), started = performance.now();
  const raw = await outputs(input), time = performance.now() - started;
  show(Array.from(raw, (v) => about.output.scale * (v - about.output.zero_point)));
  byId("time").textContent = `${time.toFixed(time < 10 ? 2 : 0)} ms in this browser`;
  busy = false;
  if (again) { again = false; ask(); }
}

function show(logits) {
  const most = Math.max(...logits), powers = logits.map((v) => Math.exp(v - most)), sum = powers.reduce((a, b) => a + b, 0);
  const best = logits.indexOf(most), label = byId("label");
  label.textContent = about.classes[best];
  label.classList.toggle("long", about.classes[best].length > 4);
  document.body.dataset.answer = about.classes[best];
  const order = logits.map((_, i) => i);
  if (logits.length > 12) order.sort((a, b) => logits[b] - logits[a]).splice(12);
  byId("bars").replaceChildren(...order.map((i) => {
    const row = document.createElement("div"), share = (100 * powers[i]) / sum;
    row.className = i === best ? "bar best" : "bar";
    const name = Object.assign(document.createElement("span"), { textContent: about.classes[i] });
    const track = Object.assign(document.createElement("div"), { className: "track" });
    const fill = Object.assign(document.createElement("div"), { className: "fill" });
    fill.style.width = `${share}%`;
    track.append(fill);
    row.append(name, track, Object.assign(document.createElement("span"), { className: "share", textContent: `${share.toFixed(share < 99.95 ? 1 : 0)} %` }));
    return row;
  }));
}

function clear() {
  ink.fillStyle = "#000"; ink.fillRect(0, 0, pad.width, pad.height);
  opened = null; drawn = false;
  byId("label").innerHTML = "&nbsp;"; byId("time").innerHTML = "&nbsp;";
  show(about.classes.map(() => 0)); byId("label").innerHTML = "&nbsp;";
  for (const bar of document.querySelectorAll(".best")) bar.classList.remove("best");
  delete document.body.dataset.answer;
  byId("seen").getContext("2d").clearRect(0, 0, width, height);
}

let last = null;
const at = (event) => {
  const box = pad.getBoundingClientRect();
  return [((event.clientX - box.left) * pad.width) / box.width, ((event.clientY - box.top) * pad.height) / box.height];
};
pad.onpointerdown = (event) => {
  if (!about.input.drawable) return;
  if (opened) clear();
  pad.setPointerCapture(event.pointerId);
  last = at(event); drawn = true; line(last, last);
};
pad.onpointermove = (event) => {
  if (!last) return;
  for (const one of event.getCoalescedEvents?.().length ? event.getCoalescedEvents() : [event]) { const next = at(one); line(last, next); last = next; }
};
pad.onpointerup = pad.onpointercancel = () => { last = null; };

function line(from, to) {
  ink.strokeStyle = "#fff"; ink.lineWidth = pad.width / 13; ink.lineCap = ink.lineJoin = "round";
  ink.beginPath(); ink.moveTo(...from); ink.lineTo(...to); ink.stroke();
  ask();
}

async function open(file) {
  if (!file?.type.startsWith("image/")) return;
  const picture = await createImageBitmap(file);
  clear();
  ink.imageSmoothingEnabled = true;
  ink.drawImage(picture, 0, 0, pad.width, pad.height);
  view.imageSmoothingEnabled = true; view.imageSmoothingQuality = "high";
  view.drawImage(picture, 0, 0, width, height);
  opened = pixelsOf();
  ask();
}

byId("clear").onclick = clear;
byId("file").onchange = ({ target }) => open(target.files[0]);
addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("over"); });
addEventListener("dragleave", () => document.body.classList.remove("over"));
addEventListener("drop", (event) => { event.preventDefault(); document.body.classList.remove("over"); open(event.dataTransfer.files[0]); });

clear();
try {
  await load();
  document.body.dataset.state = "ready";
} catch (error) {
  byId("parity").classList.add("fail");
  byId("parity").textContent = `The file does not run here: ${error.message ?? error}`;
  document.body.dataset.state = "failed";
}
