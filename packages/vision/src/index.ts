// @tytorch/vision: decoding, transforms, folders of classes as datasets, and grids.
export { type DecodeOptions, decodeImage, type ImageMode, saveImage } from './decode.ts'
export { IMG_EXTENSIONS, ImageFolder, type ImageFolderOptions } from './folder.ts'
export type { Layout, Margins, Sides } from './functional.ts'
export * as functional from './functional.ts'
export { type GridOptions, makeGrid } from './grid.ts'
export {
  applyTransform,
  CenterCrop,
  Compose,
  Normalize,
  RandomCrop,
  type RandomCropOptions,
  RandomHorizontalFlip,
  RandomResizedCrop,
  type RandomResizedCropOptions,
  Resize,
  ToTensor,
  type Transform,
} from './transforms.ts'
