// Runs a net of a page in Node.js: node node.js PAGE IMAGES RESULTS INDEX.
//
// IMAGES holds 784 bytes for each image. RESULTS gets float64 numbers: for each image the digit, then the probabilities or the value.

const fs = require("fs"), vm = require("vm");

const page = fs.readFileSync(process.argv[2], "utf8"), images = fs.readFileSync(process.argv[3]);
const part = (id) => page.split(` id="${id}">`)[1].split("</script>")[0];
vm.runInThisContext(part("program"));
const [model] = globalThis.paddleMnist.load([JSON.parse(part("models"))[process.argv[5]]]), results = [];
for (let start = 0; start < images.length; start += 784) {
  const answer = model.run(images.subarray(start, start + 784));
  results.push(answer.digit, ...(answer.probabilities ?? [answer.value]));
}
fs.writeFileSync(process.argv[4], Buffer.from(Float64Array.from(results).buffer));
