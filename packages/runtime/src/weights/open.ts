import { FormatError, show } from "../error.js";
import { isRecord, type ModelFiles, readJson } from "../files/files.js";
import { readSafetensors } from "./safetensors.js";
import { bytesByType, missingTensor, type WeightSource } from "./source.js";

const single = "model.safetensors";
const index = "model.safetensors.index.json";

/**
 * The weights of a model: `model.safetensors`, or the shards that `model.safetensors.index.json` lists. Rejects with a
 * {@link FormatError}.
 */
export async function openWeights(files: ModelFiles): Promise<WeightSource> {
  const source = await files.open(single);
  if (source) return readSafetensors(source, `${files.name}/${single}`);
  const listed = await readJson(files, index);
  if (listed !== undefined) return openShards(files, listed);
  const other = (await files.list?.())?.find((name) => /\.(bin|pth?|ckpt|h5|msgpack|onnx|npz)$/i.test(name));
  throw new FormatError(
    `${files.name}: has neither ${single} nor ${index}${
      other === undefined ? "" : `; ${show(other)} is of another format: convert it to safetensors first`
    }`,
  );
}

async function openShards(files: ModelFiles, listed: unknown): Promise<WeightSource> {
  const name = `${files.name}/${index}`;
  const map = isRecord(listed) ? listed.weight_map : undefined;
  if (!isRecord(map))
    throw new FormatError(`${name}: weight_map is ${show(map)}; it must be an object of file names by tensor`);
  const shards = new Map<string, WeightSource>();
  const byTensor = new Map<string, WeightSource>();
  for (const [tensor, file] of Object.entries(map)) {
    if (typeof file !== "string" || !/^[\w][\w.-]*\.safetensors$/.test(file)) {
      throw new FormatError(
        `${name}: tensor "${tensor}" is in ${show(file)}; it must be the name of a .safetensors file beside the index`,
      );
    }
    let shard = shards.get(file);
    if (!shard) {
      const source = await files.open(file);
      if (!source) throw new FormatError(`${name}: lists ${file}, which is not there`);
      shard = await readSafetensors(source, `${files.name}/${file}`);
      shards.set(file, shard);
    }
    if (!shard.has(tensor))
      throw new FormatError(`${name}: says that tensor "${tensor}" is in ${file}, which lacks it`);
    byTensor.set(tensor, shard);
  }
  return {
    name,
    names: [...byTensor.keys()],
    types: bytesByType([...shards.values()].flatMap(({ types }) => [...types])),
    has: (tensor) => byTensor.has(tensor),
    tensor(tensor) {
      const shard = byTensor.get(tensor);
      if (!shard) throw missingTensor(name, tensor, byTensor);
      return shard.tensor(tensor);
    },
  };
}
