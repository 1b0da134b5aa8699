// Reading and writing files: torch.save and torch.load, safetensors in memory, and NumPy's .npy.
export { loadNpy, readNpy, saveNpy, writeNpy } from './npy.ts'
export { deserialize, type LoadOptions, load, save, serialize } from './save.ts'
