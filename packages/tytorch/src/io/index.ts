// Reading and writing files: torch.save and torch.load, safetensors in memory, and NumPy's .npy.
export { loadNpy, readNpy, saveNpy, writeNpy } from './npy.ts'
export { loadNpz, saveNpz } from './npz.ts'
export { deserialize, type LoadOptions, load, type SaveOptions, save, serialize } from './save.ts'
