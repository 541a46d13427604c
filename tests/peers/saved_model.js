// Runs a SavedModel's signatures by name through tfjs-node, and prints what they give as JSON.
// node saved_model.js FOLDER IMAGES.bin SIZE FILE...     IMAGES.bin: float32 (any count, SIZE, SIZE, 3)
const util = require('util');
// the package still calls these; newer Nodes have dropped them
util.isNullOrUndefined ??= (value) => value === null || value === undefined;
util.isArray ??= Array.isArray;

const fs = require('fs');
const tf = require('@tensorflow/tfjs-node');

async function main(folder, images, size, files) {
  const signatures = (await tf.node.getMetaGraphsFromSavedModel(folder))[0].signatureDefs;
  const result = { signatures: Object.keys(signatures) };
  const content = fs.readFileSync(images);
  const values = new Float32Array(content.buffer, content.byteOffset, content.length / 4);
  const inputs = {
    predict: { image: tf.tensor(values, [values.length / (size * size * 3), size, size, 3]) },
    serve_bytes: {
      image_bytes: tf.tensor(files.map((file) => new Uint8Array(fs.readFileSync(file))), [files.length], 'string'),
    },
  };
  for (const [name, input] of Object.entries(inputs)) {
    const model = await tf.node.loadSavedModel(folder, ['serve'], name);
    const outputs = model.predict(input);
    result[name] = {};
    for (const key of Object.keys(outputs)) {
      result[name][key] = await outputs[key].array();
    }
  }
  console.log(JSON.stringify(result));
}

const [folder, images, size, ...files] = process.argv.slice(2);
main(folder, images, Number(size), files);
